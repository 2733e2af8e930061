// Decay towards the start, and each parameter's own pace.
#include "cloze/optim/start_pull.h"

#include <gtest/gtest.h>

#include "cloze/base/error.h"
#include "cloze/optim/adamw.h"

namespace cloze {
namespace {

Parameter named_parameter(const std::string& name, const std::vector<float>& values) {
  Parameter parameter = {name, {static_cast<int64_t>(values.size())}, Init::kZeros, Decay::kYes, {}};
  parameter.set(Tensor::of<float>(parameter.shape, values));
  return parameter;
}

TEST(StartPull, GoesBackByItsShare) {
  Parameter a = named_parameter("a", {1, 2}), b = named_parameter("b", {4});
  StartPull pull({&a, &b}, 0.5);
  a.var.value().data<float>()[0] = 3;
  b.var.value().data<float>()[0] = 0;
  pull.apply({0.25, 1});
  EXPECT_FLOAT_EQ(a.var.value().data<float>()[0], 3 - 0.125F * 2);
  EXPECT_FLOAT_EQ(a.var.value().data<float>()[1], 2);
  EXPECT_FLOAT_EQ(b.var.value().data<float>()[0], 2);
  EXPECT_THROW(pull.apply({1}), Error);
}

void step(AdamW& optimizer, Parameter& parameter, float gradient) {
  parameter.var.add_grad(Tensor::full(parameter.shape, DType::kF32, gradient));
  optimizer.step(0.125, 1);
}

/// A parameter that starts at step 3 makes the steps of an optimizer of its own.
TEST(ParameterPace, TheBiasCorrectionCountsFromTheStart) {
  Parameter late = named_parameter("p", {1}), fresh = late, early = named_parameter("q", {1});
  late.set(Tensor::full({1}, DType::kF32, 1));
  fresh.set(Tensor::full({1}, DType::kF32, 1));
  AdamW both({&early, &late}, {}, {{}, {.start = 2}}), alone({&fresh}, {});
  for (const float g : {1.0F, -2.0F}) {
    step(both, early, g);
    EXPECT_EQ(late.var.value().data<float>()[0], 1) << "without a gradient";
  }
  for (const float g : {0.5F, 3.0F, -1.0F}) {
    step(both, late, g);
    step(alone, fresh, g);
    EXPECT_EQ(late.var.value().data<float>()[0], fresh.var.value().data<float>()[0]);
  }
}

TEST(ParameterPace, DecayCanBeLeftOut) {
  Parameter p = named_parameter("p", {1});
  AdamW optimizer({&p}, {.weight_decay = 0.5}, {{.decays = false}});
  step(optimizer, p, 0);
  EXPECT_EQ(p.var.value().data<float>()[0], 1);
}

}  // namespace
}  // namespace cloze
