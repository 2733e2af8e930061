// AdamW against numbers from PyTorch 1.13 in f64. The loss is sum(c * p), so that the gradient is c, another for each
// step: c1 = [0.1, -0.2, 3], c2 = [-0.5, 1e-9, 1], c3 = [0.25, 0.125, -2]; p0 = [1, -2, 0.5].
//   p = torch.tensor(p0, dtype=torch.float64, requires_grad=True)
//   torch.optim.AdamW([p], lr, betas, eps, weight_decay); for c in (c1, c2, c3): p.grad = torch.tensor(c); opt.step()
#include "cloze/optim/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/backend/backend.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using Values = std::vector<double>;

const std::vector<Values> kGradients = {{0.1, -0.2, 3}, {-0.5, 1e-9, 1}, {0.25, 0.125, -2}};

Tensor tensor_of(const Values& values) {
  return Tensor::of<double>({static_cast<int64_t>(values.size())}, values);
}

Parameter parameter_of(const Values& values, Decay decay) {
  Parameter parameter = {"p", {static_cast<int64_t>(values.size())}, Init::kZeros, decay, {}};
  parameter.set(tensor_of(values));
  return parameter;
}

void expect_values(const Tensor& found, const Values& expected) {
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.values<double>()[i], expected[i], 1e-14 * std::abs(expected[i])) << i;
}

class AdamWTest : public ::testing::Test {
 protected:
  BackendScope scope_{ref_backend()};
};

struct Case {
  AdamWOptions options;
  double lr;
  Decay decay;
  std::vector<Values> after;  // of each step
};

const std::vector<Case> kCases = {
    {{.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08, .weight_decay = 0.01},
     0.001,
     Decay::kYes,
     {{0.9989900001, -1.99898000005, 0.49899500000333336},
      {0.9995783643655224, -1.9982899520469777, 0.49811894610650526},
      {0.999702286321036, -1.9981696801724378, 0.49788673969610825}}},
    {{.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08, .weight_decay = 0.01},
     0.001,
     Decay::kNo,
     {{0.9990000001, -1.99900000005, 0.49900000000333333},
      {0.9995983542655233, -1.998329941846978, 0.49812893605650527},
      {0.9997322720046805, -1.9982296528719585, 0.4979017108355693}}},
    {{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-06, .weight_decay = 0.3},
     0.1,
     Decay::kYes,
     {{0.87000099999, -1.8400004999975, 0.3850000333333222},
      {0.9078632916937908, -1.7211253504738386, 0.2880964338470934},
      {0.8913357618515435, -1.6685785481514477, 0.2656695184850833}}},
};

TEST_F(AdamWTest, FollowsPyTorch) {
  for (const Case& run : kCases) {
    Parameter parameter = parameter_of({1, -2, 0.5}, run.decay);
    AdamW optimizer({&parameter}, run.options);
    for (size_t step = 0; step < 3; ++step) {
      SCOPED_TRACE(testing::Message() << "case " << &run - kCases.data() << " step " << step);
      parameter.var.add_grad(tensor_of(kGradients[step]));
      optimizer.step(run.lr, 1.0);
      expect_values(parameter.var.value(), run.after[step]);
      EXPECT_FALSE(parameter.var.grad().defined()) << "gradients are used up";
      EXPECT_EQ(optimizer.steps(), static_cast<int64_t>(step) + 1);
    }
  }
}

TEST_F(AdamWTest, GradScaleScalesTheGradient) {
  Parameter plain = parameter_of({1, -2, 0.5}, Decay::kYes), scaled = parameter_of({1, -2, 0.5}, Decay::kYes);
  AdamW a({&plain}, {}), b({&scaled}, {});
  for (const Values& gradient : kGradients) {
    Values twice = gradient;
    for (double& v : twice) v *= 2;
    plain.var.add_grad(tensor_of(gradient));
    scaled.var.add_grad(tensor_of(twice));
    a.step(0.1, 1.0);
    b.step(0.1, 0.5);
    EXPECT_THAT(scaled.var.value().values<double>(), ::testing::ElementsAreArray(plain.var.value().values<double>()));
  }
}

TEST_F(AdamWTest, ParametersWithoutGradientAreNotTouched) {
  Parameter used = parameter_of({1}, Decay::kYes), unused = parameter_of({1}, Decay::kYes);
  AdamW optimizer({&used, &unused}, {});
  used.var.add_grad(tensor_of({1}));
  optimizer.step(0.1, 1.0);
  EXPECT_NE(used.var.value().data<double>()[0], 1);
  EXPECT_EQ(unused.var.value().data<double>()[0], 1) << "no decay either";
  EXPECT_EQ(optimizer.second_moment(1).data<double>()[0], 0);
}

TEST_F(AdamWTest, GoesOnWhereItWasRestored) {
  Parameter whole = parameter_of({1, -2, 0.5}, Decay::kYes), halves = parameter_of({1, -2, 0.5}, Decay::kYes);
  AdamW straight({&whole}, {}), first({&halves}, {});
  const auto step = [](AdamW& optimizer, Parameter& parameter, size_t i) {
    parameter.var.add_grad(tensor_of(kGradients[i]));
    optimizer.step(0.1, 1.0);
  };
  for (size_t i = 0; i < 3; ++i) step(straight, whole, i);
  step(first, halves, 0);
  AdamW second({&halves}, {});
  second.first_moment(0).copy_from(first.first_moment(0));
  second.second_moment(0).copy_from(first.second_moment(0));
  second.restore(first.steps());
  for (size_t i = 1; i < 3; ++i) step(second, halves, i);
  EXPECT_THAT(halves.var.value().values<double>(), ::testing::ElementsAreArray(whole.var.value().values<double>()));
  EXPECT_EQ(second.steps(), 3);
}

TEST_F(AdamWTest, GradientNorm) {
  Parameter a = parameter_of({0, 0}, Decay::kYes), b = parameter_of({0}, Decay::kNo), c = parameter_of({0}, Decay::kNo);
  const AdamW optimizer({&a, &b, &c}, {});
  EXPECT_EQ(optimizer.gradient_norm(), 0);
  a.var.add_grad(tensor_of({2, -3}));
  b.var.add_grad(tensor_of({6}));
  EXPECT_DOUBLE_EQ(optimizer.gradient_norm(), 7);
}

TEST(AdamW32Test, TheFastBackendAgrees) {
  // 1000 elements in f32, three steps, against the reference in f64.
  constexpr int64_t kCount = 1000;
  Parameter fast = {"p", {kCount}, Init::kNormal, Decay::kYes, {}}, exact = fast;
  fast.initialize(1, 1.0);
  exact.initialize(1, 1.0, DType::kF64);
  exact.set(to_float(fast.var.value(), DType::kF64).clone());
  AdamW a({&fast}, {}), b({&exact}, {});
  for (uint64_t step = 0; step < 3; ++step) {
    Parameter gradient = {"g", {kCount}, Init::kNormal, Decay::kYes, {}};
    gradient.initialize(10 + step, 0.1);
    fast.var.add_grad(gradient.var.value());
    exact.var.add_grad(to_float(gradient.var.value(), DType::kF64));
    EXPECT_NEAR(a.gradient_norm() / b.gradient_norm(), 1, 1e-6);
    a.step(0.01, 0.7);
    const BackendScope scope(ref_backend());
    b.step(0.01, 0.7);
  }
  for (int64_t i = 0; i < kCount; ++i)
    ASSERT_NEAR(fast.var.value().data<float>()[i], exact.var.value().data<double>()[i], 1e-6) << i;
}

}  // namespace
}  // namespace cloze
