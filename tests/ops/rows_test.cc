// Gradients kept as rows: what they hold, how they add up, and that whoever asks for a dense one gets it.
#include "cloze/ops/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cloze/base/thread_team.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::error_of;
using test::int_tensor;
using test::normal_leaf;
using test::normal_tensor;
using test::weighted_sum;
using ::testing::ElementsAre;

class RowsTest : public ::testing::Test {
 protected:
  ~RowsTest() override { set_thread_count(0); }
  BackendScope scope_{ref_backend()};
};

RowGradient rows_of(const std::vector<int32_t>& rows, const std::vector<double>& values) {
  const int64_t count = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(values.size()) / count;
  return {int_tensor(rows), Tensor::of<double>({count, width}, values)};
}
Var table_of_zeros(int64_t rows, int64_t width) {
  return Var::leaf(Tensor::zeros({rows, width}, DType::kF64));
}

TEST_F(RowsTest, TheIndexIsOfEachRowOnceAndRising) {
  const RowIndex index = index_rows(int_tensor({7, 2, 7, 0, 2, 2}), 9);
  EXPECT_THAT(index.rows.values<int32_t>(), ElementsAre(0, 2, 7));
  EXPECT_THAT(index.slots.values<int32_t>(), ElementsAre(2, 1, 2, 0, 1, 1));
  EXPECT_EQ(index_rows(int_tensor({}), 9).rows.elements(), 0);
}

TEST_F(RowsTest, AddUpWhereTheyMeet) {
  const Var table = table_of_zeros(5, 2);
  EXPECT_FALSE(table.has_grad());
  const RowGradient first = rows_of({1, 4}, {1, 2, 3, 4});
  table.add_row_grad(first);
  table.add_row_grad(rows_of({0, 4}, {10, 20, 30, 40}));
  EXPECT_TRUE(table.has_grad());
  EXPECT_THAT(table.row_grad().rows.values<int32_t>(), ElementsAre(0, 1, 4));
  EXPECT_THAT(table.row_grad().values.values<double>(), ElementsAre(10, 20, 1, 2, 33, 44));
  EXPECT_THAT(first.values.values<double>(), ElementsAre(1, 2, 3, 4)) << "what was given must not change";
  EXPECT_THAT(table.grad().values<double>(), ElementsAre(10, 20, 1, 2, 0, 0, 0, 0, 33, 44));
  EXPECT_TRUE(table.row_grad().defined()) << "asking for the dense form changes nothing";
  table.add_row_grad(rows_of({2}, {5, 6}));
  EXPECT_THAT(table.grad().values<double>(), ElementsAre(10, 20, 1, 2, 5, 6, 0, 0, 33, 44));
  table.clear_grad();
  EXPECT_FALSE(table.has_grad());
  EXPECT_FALSE(table.grad().defined());
}

TEST_F(RowsTest, BecomeDenseBesideADenseOne) {
  for (const bool dense_first : {true, false}) {
    const Var table = table_of_zeros(3, 1);
    const Tensor dense = Tensor::of<double>({3, 1}, {1, 2, 3});
    if (dense_first) table.add_grad(dense);
    table.add_row_grad(rows_of({1}, {10}));
    if (!dense_first) table.add_grad(dense);
    EXPECT_FALSE(table.row_grad().defined());
    EXPECT_THAT(table.grad().values<double>(), ElementsAre(1, 12, 3));
    table.add_row_grad(rows_of({2}, {100}));
    EXPECT_THAT(table.grad().values<double>(), ElementsAre(1, 12, 103));
    EXPECT_THAT(dense.values<double>(), ElementsAre(1, 2, 3)) << "what was given must not change";
  }
}

TEST_F(RowsTest, OfAnotherShapeAreRefused) {
  EXPECT_EQ(error_of([] { table_of_zeros(3, 2).add_row_grad(rows_of({1}, {10})); }),
            "internal: a gradient of 1 rows, [1, 1], for a value of shape [3, 2]");
}

/// embed's tables may be results of other operations; then what flows on is dense.
TEST_F(RowsTest, FlowOnDense) {
  const RaggedBatch batch = make_ragged_batch({{1, 3, 1}}, {});
  const Var x = normal_leaf({5, 2}, 1), weight = normal_leaf({2, 2}, 2);
  const Var position(normal_tensor({3, 2}, 3)), segment(normal_tensor({2, 2}, 4));
  test::expect_gradients({{"x", x}, {"weight", weight}},
                         [&] { return embed(batch, linear(x, weight, {}, Activation::kNone), position, segment); });
  EXPECT_FALSE(x.row_grad().defined());
}

/// The same bits as a dense scatter in token order, for any number of threads, passes added up.
TEST_F(RowsTest, EmbedsRowsHaveTheBitsOfADenseScatter) {
  const BackendScope scope(cpu_backend());
  constexpr int64_t kWords = 40, kWidth = 33;
  Rng rng(3, RandomStream::kTest);
  std::vector<std::vector<int32_t>> ids(9);
  for (auto& row : ids)
    for (int t = 0; t < 20; ++t) row.push_back(static_cast<int32_t>(rng.below(kWords - 5)));
  const RaggedBatch batch = make_ragged_batch(ids, {});
  const Tensor values = normal_tensor({kWords, kWidth}, 1, 1, 0, DType::kF32);
  const Tensor dy = normal_tensor({batch.tokens(), kWidth}, 2, 1, 0, DType::kF32);
  const Tensor expected = Tensor::zeros({kWords, kWidth}, DType::kF32);
  add_rows(dy, batch.ids, expected);
  backend().add_into({.x = expected.clone(), .y = expected});  // two passes
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    const Var word = Var::leaf(values.clone()), position = Var::leaf(values.clone()), segment = Var::leaf(values);
    for (int pass = 0; pass < 2; ++pass) backward(weighted_sum(embed(batch, word, position, segment), dy));
    ASSERT_TRUE(word.row_grad().defined() && position.row_grad().defined());
    EXPECT_LE(word.row_grad().rows.elements(), kWords - 5);
    EXPECT_EQ(position.row_grad().rows.elements(), 20);
    EXPECT_EQ(std::memcmp(word.grad().raw(), expected.raw(), static_cast<size_t>(expected.bytes())), 0) << threads;
  }
}

}  // namespace
}  // namespace cloze
