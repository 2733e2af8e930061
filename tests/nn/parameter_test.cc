#include "cloze/nn/parameter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::Each;

Parameter normal(const std::string& name) {
  return {name, {200, 50}, Init::kNormal, Decay::kYes, {}};
}

std::vector<float> values_of(Parameter parameter, uint64_t seed) {
  parameter.initialize(seed, 0.02);
  const auto values = parameter.var.value().values<float>();
  return {values.begin(), values.end()};
}

TEST(ParameterTest, InitialValuesAreNormal) {
  const std::vector<float> values = values_of(normal("w"), 1);
  double sum = 0, squares = 0, fourth = 0;
  for (const double v : values) {
    sum += v / 0.02;
    squares += v * v / 0.0004;
    fourth += std::pow(v / 0.02, 4);
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n)) << "normal, not uniform";
}

TEST(ParameterTest, InitialValuesDependOnSeedAndNameAlone) {
  const std::vector<float> values = values_of(normal("w"), 1);
  EXPECT_EQ(values, values_of(normal("w"), 1));
  EXPECT_NE(values, values_of(normal("w"), 2));
  EXPECT_NE(values, values_of(normal("v"), 1));
}

TEST(ParameterTest, DoubleValuesAreTheSameNumbers) {
  Parameter parameter = normal("w");
  parameter.initialize(1, 0.02, DType::kF64);
  const std::vector<float> single = values_of(normal("w"), 1);
  const auto twice = parameter.var.value().values<double>();
  for (size_t i = 0; i < single.size(); ++i) ASSERT_EQ(static_cast<float>(twice[i]), single[i]);
}

TEST(ParameterTest, ConstantsAndGradients) {
  Parameter ones = {"g", {3}, Init::kOnes, Decay::kNo, {}}, zeros = {"b", {3}, Init::kZeros, Decay::kNo, {}};
  EXPECT_FALSE(ones.var.defined());
  ones.initialize(1, 0.02);
  zeros.initialize(1, 0.02);
  EXPECT_THAT(ones.var.value().values<float>(), Each(1.f));
  EXPECT_THAT(zeros.var.value().values<float>(), Each(0.f));
  EXPECT_TRUE(ones.var.needs_grad());
}

TEST(ParameterTest, SetChecksTheShape) {
  Parameter parameter = normal("bert.pooler.dense.weight");
  EXPECT_EQ(error_of([&] {
              parameter.set(Tensor::zeros({50, 200}, DType::kF32));
            }),
            "shape: bert.pooler.dense.weight must be [200, 50], got [50, 200]");
  const Tensor value = Tensor::zeros({200, 50}, DType::kF32);
  parameter.set(value);
  EXPECT_EQ(parameter.var.value().raw(), value.raw()) << "not copied";
  EXPECT_TRUE(parameter.var.needs_grad());
  Parameter other = {"b", {7}, Init::kZeros, Decay::kNo, {}};
  EXPECT_EQ(count_elements({&parameter, &other}), 10007);
}

}  // namespace
}  // namespace cloze
