// Losses on inner states: values by hand, gradients against differences.
#include "gradient_check.h"

namespace cloze::test {
namespace {

double value_of(const Var& loss) {
  return loss.value().data<double>()[0];
}

TEST(MeanSquareGap, ValueAndGradient) {
  const Var x = Var::leaf(Tensor::of<double>({2, 2}, {1, 2, 3, 4}));
  const Tensor target = Tensor::of<double>({2, 2}, {1, 0, 0, 4});
  EXPECT_DOUBLE_EQ(value_of(mean_square_gap(x, target, 2)), 2 * (4 + 9) / 4.0);
  expect_gradients({{"x", x}}, [&] { return scaled(mean_square_gap(x, target, 2), 0.5); });
  EXPECT_THROW(mean_square_gap(x, Tensor::zeros({4}, DType::kF64), 1), Error);
}

TEST(RelationLoss, LiteralValue) {
  // One head of width 1, two tokens: scores x_i x_j, so softmax rows of (0, 0) and (0, 1) with x = (0, 1).
  const Var x(Tensor::of<double>({2, 1}, {0, 1}));
  const Tensor target = Tensor::of<double>({2, 1}, {0, 0}), offsets = Tensor::of<int32_t>({2}, {0, 2});
  const double p = 1 / (1 + std::exp(1.0)), kl = 0.5 * std::log(0.5 / p) + 0.5 * std::log(0.5 / (1 - p));
  EXPECT_NEAR(value_of(relation_loss(x, target, offsets, 1, 3)), 3 * kl / 2, 1e-14) << "the first row agrees";
  EXPECT_NEAR(value_of(relation_loss(x, x.value(), offsets, 1, 3)), 0, 1e-15);
}

TEST(RelationLoss, SequencesAndHeadsStandAlone) {
  const Var x = normal_leaf({5, 4}, 1);
  const Tensor target = normal_leaf({5, 6}, 2).value();
  const Tensor offsets = Tensor::of<int32_t>({3}, {0, 2, 5});
  const double both = value_of(relation_loss(x, target, offsets, 2, 1));
  const auto part = [&](int64_t begin, int64_t end) {
    const int32_t n = static_cast<int32_t>(end - begin);
    return value_of(relation_loss(Var(x.value().rows(begin, end)), target.rows(begin, end),
                                  Tensor::of<int32_t>({2}, {0, n}), 2, 1));
  };
  EXPECT_NEAR(both, (2 * part(0, 2) + 3 * part(2, 5)) / 5, 1e-14);
  EXPECT_GT(both, 0);
}

TEST(RelationLoss, GradientsAreDifferences) {
  const Var x = normal_leaf({6, 6}, 4);
  const Tensor target = normal_leaf({6, 3}, 5).value();
  const Tensor offsets = Tensor::of<int32_t>({4}, {0, 1, 3, 6});
  for (const int64_t heads : {1, 3})
    expect_gradients({{"x", x}}, [&] { return scaled(relation_loss(x, target, offsets, heads, 0.7), 2); });
}

TEST(RelationLoss, ShapesAreChecked) {
  const Var x(Tensor::zeros({2, 4}, DType::kF32));
  const Tensor offsets = Tensor::of<int32_t>({2}, {0, 2});
  EXPECT_THROW(relation_loss(x, Tensor::zeros({3, 4}, DType::kF32), offsets, 2, 1), Error);
  EXPECT_THROW(relation_loss(x, Tensor::zeros({2, 3}, DType::kF32), offsets, 2, 1), Error);
  EXPECT_THROW(relation_loss(x, Tensor::zeros({2, 4}, DType::kF64), offsets, 2, 1), Error);
}

}  // namespace
}  // namespace cloze::test
