#include "cloze/tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <new>

#include "cloze/base/file.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

template <class Action>
void expect_code(ErrorCode code, Action&& action) {
  try {
    action();
    ADD_FAILURE() << "expected an error (" << error_code_name(code) << ")";
  } catch (const Error& error) {
    EXPECT_STREQ(error_code_name(error.code()), error_code_name(code)) << error.what();
  }
}

Tensor counted(const Shape& shape) {
  const Tensor tensor(shape, DType::kF32);
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.data<float>()[i] = static_cast<float>(i);
  return tensor;
}

TEST(Tensor, DefaultIsUndefined) {
  const Tensor tensor;
  EXPECT_FALSE(tensor.defined());
  EXPECT_EQ(tensor.elements(), 0);
  EXPECT_EQ(tensor.bytes(), 0);
}

TEST(Tensor, MakesZerosFullAndCopies) {
  EXPECT_THAT(Tensor::zeros({2}, DType::kI64).values<int64_t>(), ElementsAre(0, 0));
  EXPECT_THAT(Tensor::full({2}, DType::kF32, 1.5).values<float>(), ElementsAre(1.5f, 1.5f));
  EXPECT_THAT(Tensor::full({1}, DType::kF64, 0.1).values<double>(), ElementsAre(0.1));
  EXPECT_THAT(Tensor::full({1}, DType::kI32, -3).values<int32_t>(), ElementsAre(-3));
  EXPECT_THAT(Tensor::of<int32_t>({2, 1}, {4, 5}).values<int32_t>(), ElementsAre(4, 5));
  EXPECT_EQ(Tensor::of<float>({}, {4}).elements(), 1);
  expect_code(ErrorCode::kShape, [] { (void)Tensor::of<float>({3}, {1, 2}); });
  expect_code(ErrorCode::kUnsupported, [] { (void)Tensor::full({1}, DType::kBool, 1); });
}

TEST(Tensor, BytesFollowTheDtype) {
  EXPECT_EQ(Tensor({3}, DType::kF64).bytes(), 24);
  EXPECT_EQ(Tensor({3}, DType::kF16).bytes(), 6);
  EXPECT_EQ(Tensor({3}, DType::kBool).bytes(), 3);
  EXPECT_EQ(Tensor({0}, DType::kF32).bytes(), 0);
  EXPECT_TRUE(Tensor({0}, DType::kF32).defined());
}

TEST(Tensor, DataChecksTheElementType) {
  const Tensor tensor({1}, DType::kF32);
  expect_code(ErrorCode::kInternal, [&] { (void)tensor.data<int32_t>(); });
  expect_code(ErrorCode::kInternal, [&] { (void)tensor.data<double>(); });
  expect_code(ErrorCode::kInternal, [] { (void)Tensor({1}, DType::kI64).data<double>(); });
  expect_code(ErrorCode::kInternal, [] { (void)Tensor({1}, DType::kF16).data<uint8_t>(); });
  EXPECT_NO_THROW((void)Tensor({1}, DType::kF16).data<uint16_t>());
  EXPECT_NO_THROW((void)Tensor({1}, DType::kBool).data<uint8_t>());
}

TEST(Tensor, CopiesShareMemoryClonesDoNot) {
  const Tensor tensor = counted({3});
  const Tensor shared = tensor, own = tensor.clone();
  tensor.data<float>()[1] = 9;
  EXPECT_THAT(shared.values<float>(), ElementsAre(0, 9, 2));
  EXPECT_THAT(own.values<float>(), ElementsAre(0, 1, 2));
  EXPECT_EQ(own.shape(), tensor.shape());
}

TEST(Tensor, ReshapeIsAViewOfEqualCount) {
  const Tensor tensor = counted({2, 3}), flat = tensor.reshape({6});
  EXPECT_EQ(flat.raw(), tensor.raw());
  EXPECT_EQ(flat.shape(), Shape({6}));
  EXPECT_EQ(tensor.reshape({3, 1, 2, 1}).shape(), Shape({3, 1, 2, 1}));
  expect_code(ErrorCode::kShape, [&] { (void)tensor.reshape({7}); });
}

TEST(Tensor, RowsAreViewsThatKeepTheMemoryAlive) {
  Tensor tensor = counted({4, 2});
  const Tensor middle = tensor.rows(1, 3);
  EXPECT_EQ(middle.shape(), Shape({2, 2}));
  EXPECT_EQ(middle.data<float>(), tensor.data<float>() + 2);
  tensor = Tensor();
  const Tensor other = counted({4, 2});  // would take the freed block
  other.set_zero();
  EXPECT_THAT(middle.values<float>(), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(middle.rows(1, 2).values<float>(), ElementsAre(4, 5)) << "rows of rows";
}

TEST(Tensor, RowsAtTheEdges) {
  const Tensor tensor = counted({3, 2});
  EXPECT_EQ(tensor.rows(0, 3).shape(), Shape({3, 2}));
  EXPECT_EQ(tensor.rows(3, 3).elements(), 0);
  EXPECT_EQ(counted({3}).rows(2, 3).values<float>()[0], 2);
  EXPECT_EQ(Tensor({0, 5}, DType::kF32).rows(0, 0).shape(), Shape({0, 5}));
  EXPECT_EQ(Tensor({3, 0}, DType::kF32).rows(1, 2).shape(), Shape({1, 0}));
  expect_code(ErrorCode::kShape, [&] { (void)tensor.rows(-1, 1); });
  expect_code(ErrorCode::kShape, [&] { (void)tensor.rows(2, 1); });
  expect_code(ErrorCode::kShape, [&] { (void)tensor.rows(0, 4); });
  expect_code(ErrorCode::kShape, [] { (void)Tensor(Shape(), DType::kF32).rows(0, 0); });
}

TEST(Tensor, CopyFromWantsEqualShapeAndDtype) {
  const Tensor target = Tensor::zeros({2, 2}, DType::kF32);
  target.copy_from(counted({2, 2}));
  EXPECT_THAT(target.values<float>(), ElementsAre(0, 1, 2, 3));
  target.rows(1, 2).copy_from(Tensor::full({1, 2}, DType::kF32, 7));
  EXPECT_THAT(target.values<float>(), ElementsAre(0, 1, 7, 7));
  expect_code(ErrorCode::kShape, [&] { target.copy_from(counted({4})); });
  expect_code(ErrorCode::kShape, [&] { target.copy_from(Tensor::zeros({2, 2}, DType::kI32)); });
}

TEST(Tensor, SetZeroOfAViewLeavesTheRest) {
  const Tensor tensor = counted({3});
  tensor.rows(1, 2).set_zero();
  EXPECT_THAT(tensor.values<float>(), ElementsAre(0, 0, 2));
}

TEST(Tensor, ViewKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor view = Tensor::view({3}, DType::kF32, owner->data(), owner);
  owner.reset();
  EXPECT_THAT(view.values<float>(), ElementsAre(1, 2, 3));
  view = view.rows(1, 2).reshape({1, 1});
  EXPECT_FALSE(watch.expired());
  view = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, MappedMemoryIsCopyOnWrite) {
  const Path path = std::filesystem::temp_directory_path() / fmt::format("cloze-tensor-test-{}", ::getpid());
  write_file(path, "abcd");
  Tensor tensor;
  {
    const auto file = MappedFile::open(path);
    tensor = Tensor::view({4}, DType::kU8, file->bytes().data(), file);
  }
  tensor.data<uint8_t>()[0] = 'X';
  EXPECT_THAT(tensor.values<uint8_t>(), ElementsAre('X', 'b', 'c', 'd'));
  EXPECT_EQ(read_file(path), "abcd");
  const auto again = MappedFile::open(path);
  EXPECT_EQ(static_cast<char>(again->bytes()[0]), 'a') << "another mapping does not see it either";
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace cloze
