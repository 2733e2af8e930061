// The distance of two draws of the same rows: its value, and its gradient against differences.
#include "gradient_check.h"

namespace cloze::test {
namespace {

/// p = (3/4, 1/4), q = (1/2, 1/2): KL(p||q) = log 2 - h(1/4), and both directions together (3/4 - 1/2) log 3.
TEST(SymmetricKl, LiteralValue) {
  const Var logits = Var(Tensor::of<double>({2, 2}, {std::log(3.0), 0, 5, 5}));
  EXPECT_NEAR(symmetric_kl(logits, 1).value().data<double>()[0], 0.125 * std::log(3.0), 1e-15);
  EXPECT_NEAR(symmetric_kl(logits, 4).value().data<double>()[0], 0.5 * std::log(3.0), 1e-15);
}

TEST(SymmetricKl, ZeroForTheSameAnswersUpToAShift) {
  const Var logits = Var(Tensor::of<double>({4, 3}, {1, 2, 3, -1, 0, 4, 11, 12, 13, 6, 7, 11}));
  EXPECT_NEAR(symmetric_kl(logits, 1).value().data<double>()[0], 0, 1e-15);
}

TEST(SymmetricKl, RowsCountByTheirWeights) {
  const Tensor both = Tensor::of<double>({4, 2}, {std::log(3.0), 0, 1, 2, 0, 0, 1, 2});
  const Tensor weights = Tensor::of<float>({2}, {1.0F, 3.0F});
  EXPECT_NEAR(symmetric_kl(Var(both), 1, weights).value().data<double>()[0], 0.125 * std::log(3.0) / 4, 1e-15);
}

TEST(SymmetricKl, GradientsAreDifferences) {
  const Var logits = normal_leaf({6, 4}, 3, 2);
  expect_gradients({{"logits", logits}}, [&] { return symmetric_kl(logits, 1.5); });
  const Tensor weights = Tensor::of<float>({3}, {1.0F, 0.25F, 0.0F});
  expect_gradients({{"logits", logits}}, [&] { return symmetric_kl(logits, 0.5, weights); });
}

TEST(SymmetricKl, LargeLogitsStayFinite) {
  const Var logits = Var::leaf(Tensor::of<float>({2, 2}, {80.0F, -80.0F, -80.0F, 80.0F}));
  const Var loss = symmetric_kl(logits, 1);
  EXPECT_NEAR(loss.value().data<float>()[0], 160, 1e-3);
  backward(loss);
  for (const float value : logits.grad().values<float>()) EXPECT_TRUE(std::isfinite(value));
}

TEST(SymmetricKl, OddRowsAreRefused) {
  EXPECT_THROW(symmetric_kl(Var(Tensor::zeros({3, 2}, DType::kF32)), 1), Error);
  EXPECT_THROW(symmetric_kl(Var(Tensor::zeros({4, 2}, DType::kF32)), 1, Tensor::zeros({4}, DType::kF32)), Error);
}

}  // namespace
}  // namespace cloze::test
