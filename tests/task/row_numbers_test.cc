// Rows of numbers beside a text: kept without their zeros, given back as they were.
#include "cloze/task/row_numbers.h"

#include <gmock/gmock.h>

#include "cloze/base/error.h"

namespace cloze {
namespace {

/// The extra cells as numbers.
class Cells : public RowNumbers {
 public:
  int64_t width() const override { return 3; }
  std::vector<std::string> columns() const override { return {"a", "b", "c"}; }
  Tensor numbers(std::span<const TextExample> rows, const std::string&) const override {
    const Tensor x = Tensor::zeros({static_cast<int64_t>(rows.size()), 3}, DType::kF32);
    for (size_t n = 0; n < rows.size(); ++n)
      for (size_t d = 0; d < 3; ++d) x.data<float>()[3 * n + d] = std::stof(rows[n].extra[d]);
    return x;
  }
  void check(const TextExample&, const std::string&) const override {}
  std::vector<std::string> summary() const override { return {}; }
  void save(const ModelFiles&) const override {}
};

TextExample cells_row(std::vector<std::string> extra) {
  TextExample example;
  example.extra = std::move(extra);
  return example;
}

std::vector<float> values_of(const Tensor& x) {
  return {x.data<float>(), x.data<float>() + x.elements()};
}

TEST(SparseRows, GivesRowsBackAndMultipliesThem) {
  const std::vector<TextExample> rows = {cells_row({"1", "0", "-2"}), cells_row({"0", "0", "0"}),
                                         cells_row({"0", "0.5", "0"})};
  const SparseRows sparse(Cells(), rows, "f");
  EXPECT_EQ(sparse.width(), 3);
  const size_t picked[] = {2, 0, 2};
  EXPECT_EQ(values_of(sparse.dense(picked)), (std::vector<float>{0, 0.5, 0, 1, 0, -2, 0, 0.5, 0}));
  const Tensor weight = Tensor::of<float>({2, 3}, {1, 2, 3, -1, 4, 0.5});
  EXPECT_EQ(values_of(sparse.times(weight)), (std::vector<float>{-5, -2, 0, 0, 1, 2}));
  EXPECT_THROW(sparse.times(Tensor::of<float>({1, 2}, {1, 2})), Error);
}

TEST(SparseRows, TheHashSeesValuesPlacesAndRows) {
  const auto hash = [](const std::vector<TextExample>& rows) { return SparseRows(Cells(), rows, "f").hash(); };
  const std::string own = hash({cells_row({"1", "0", "0"}), cells_row({"2", "0", "0"})});
  EXPECT_EQ(own, hash({cells_row({"1", "0", "0"}), cells_row({"2", "0", "0"})}));
  EXPECT_NE(own, hash({cells_row({"1", "0", "0"}), cells_row({"3", "0", "0"})}));
  EXPECT_NE(own, hash({cells_row({"1", "0", "0"}), cells_row({"0", "2", "0"})}));
  EXPECT_NE(own, hash({cells_row({"1", "2", "0"}), cells_row({"0", "0", "0"})}));
}

TEST(SparseRows, MoreRowsThanAreReadAtATime) {
  std::vector<TextExample> rows;
  for (int i = 0; i < 600; ++i) rows.push_back(cells_row({std::to_string(i), "0", "1"}));
  const SparseRows sparse(Cells(), rows, "f");
  const size_t picked[] = {0, 255, 256, 599};
  EXPECT_EQ(values_of(sparse.dense(picked)), (std::vector<float>{0, 0, 1, 255, 0, 1, 256, 0, 1, 599, 0, 1}));
}

}  // namespace
}  // namespace cloze
