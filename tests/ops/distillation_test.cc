// The distance from a teacher's answers: its value, and its gradient against differences.
#include "gradient_check.h"

namespace cloze::test {
namespace {

/// The teacher says (3/4, 1/4), the student (1/2, 1/2): KL = log 2 - h(1/4).
TEST(DistillationLoss, LiteralValues) {
  const Var logits(Tensor::of<double>({1, 2}, {5, 5}));
  const Tensor teacher = Tensor::of<float>({1, 2}, {0.75F, 0.25F});
  const double kl = std::log(2.0) + 0.75 * std::log(0.75) + 0.25 * std::log(0.25);
  EXPECT_NEAR(distillation_loss(logits, teacher, 1, 1).value().data<double>()[0], kl, 1e-15);
  EXPECT_NEAR(distillation_loss(logits, teacher, 1, 0.5).value().data<double>()[0], kl / 2, 1e-15);
  // Temperature 2 makes (sqrt 3, 1) / (sqrt 3 + 1) of the teacher, and the loss counts four times.
  const double q = std::sqrt(3.0) / (std::sqrt(3.0) + 1);
  EXPECT_NEAR(distillation_loss(logits, teacher, 2, 1).value().data<double>()[0],
              4 * (std::log(2.0) + q * std::log(q) + (1 - q) * std::log(1 - q)), 1e-12);
}

TEST(DistillationLoss, ZeroWhereBothSayTheSame) {
  const Var logits(Tensor::of<double>({2, 2}, {std::log(3.0) + 7, 7, 1, 1}));
  const Tensor teacher = Tensor::of<float>({2, 2}, {0.75F, 0.25F, 0.5F, 0.5F});
  EXPECT_NEAR(distillation_loss(logits, teacher, 3, 1).value().data<double>()[0], 0, 1e-14);
}

TEST(DistillationLoss, RowsCountByTheirWeights) {
  const Var logits(Tensor::of<double>({2, 2}, {5, 5, 0, 9}));
  const Tensor teacher = Tensor::of<float>({2, 2}, {0.75F, 0.25F, 1, 0});
  const double first =
      distillation_loss(Var(Tensor::of<double>({1, 2}, {5, 5})), Tensor::of<float>({1, 2}, {0.75F, 0.25F}), 1, 1)
          .value()
          .data<double>()[0];
  EXPECT_NEAR(distillation_loss(logits, teacher, 1, 1, Tensor::of<float>({2}, {1, 0})).value().data<double>()[0], first,
              1e-15);
}

TEST(DistillationLoss, GradientsAreDifferences) {
  const Var logits = normal_leaf({3, 4}, 3, 2);
  const Tensor teacher =
      Tensor::of<float>({3, 4}, {0.1F, 0.2F, 0.3F, 0.4F, 0.97F, 0.01F, 0.01F, 0.01F, 0.25F, 0.25F, 0.25F, 0.25F});
  for (const double temperature : {0.7, 1.0, 4.0})
    expect_gradients({{"logits", logits}}, [&] { return distillation_loss(logits, teacher, temperature, 0.6); });
  const Tensor weights = Tensor::of<float>({3}, {1.0F, 0.25F, 0.0F});
  expect_gradients({{"logits", logits}},
                   [&] { return scaled(distillation_loss(logits, teacher, 2, 1, weights), 0.3); });
}

TEST(DistillationLoss, CertainTeachersStayFinite) {
  const Var logits = Var::leaf(Tensor::of<float>({1, 2}, {80.0F, -80.0F}));
  const Var loss = distillation_loss(logits, Tensor::of<float>({1, 2}, {0, 1}), 1, 1);
  EXPECT_NEAR(loss.value().data<float>()[0], 160, 1e-3);
  backward(loss);
  for (const float value : logits.grad().values<float>()) EXPECT_TRUE(std::isfinite(value));
}

TEST(DistillationLoss, ShapesAndTemperaturesAreChecked) {
  const Var logits(Tensor::zeros({2, 2}, DType::kF32));
  EXPECT_THROW(distillation_loss(logits, Tensor::zeros({2, 3}, DType::kF32), 1, 1), Error);
  EXPECT_THROW(distillation_loss(logits, Tensor::zeros({2, 2}, DType::kF64), 1, 1), Error);
  EXPECT_THROW(distillation_loss(logits, Tensor::zeros({2, 2}, DType::kF32), 0, 1), Error);
}

TEST(Scaled, ValueAndGradient) {
  const Var x = normal_leaf({3, 2}, 1);
  EXPECT_EQ(scaled(x, -2).value().data<double>()[5], -2 * x.value().data<double>()[5]);
  expect_gradients({{"x", x}}, [&] { return scaled(x, 0.25); });
}

}  // namespace
}  // namespace cloze::test
