// Importance against its definition: the loss's derivative by a mask, taken by differences.
#include "cloze/compress/importance.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "cloze/base/rng.h"
#include "cloze/task/task.h"
#include "tiny_task.h"

namespace cloze {
namespace {

using test::tiny_config;
using test::tiny_task;

/// The loss with columns [first, first + width) of a parameter scaled.
double loss_with(TrainingTask& task, std::span<const int64_t> rows, const std::string& name, int64_t first,
                 int64_t width, double scale) {
  const NoGrad no_grad;
  const ParameterList parameters = task.parameters();
  Parameter& parameter = **std::ranges::find(parameters, name, &Parameter::name);
  const Tensor old = parameter.var.value().clone(), changed = old.clone();
  for (int64_t m = 0; m < changed.shape()[0]; ++m)
    for (int64_t k = first; k < first + width; ++k)
      changed.data<float>()[m * changed.shape()[1] + k] *= static_cast<float>(scale);
  parameter.set(changed);
  ForwardContext context;
  const double loss = static_cast<double>(task.loss(rows, context).value().data<float>()[0]);
  parameter.set(old);
  return loss;
}

TEST(Importance, TaylorAndFisherAreDerivativesByAMask) {
  const test::TemporaryFolder place;
  const auto task = tiny_task(place);
  const std::vector<int64_t> rows = {2, 0, 3, 1};
  const Importance taylor = gradient_importance(*task, tiny_config(), Criterion::kTaylor, rows, 4, {});
  int64_t heard = 0;
  const Importance fisher =
      gradient_importance(*task, tiny_config(), Criterion::kFisher, rows, 1, [&](int64_t done) { heard = done; });
  EXPECT_EQ(heard, 4);
  constexpr double kStep = 0.02;
  const auto derivative = [&](std::span<const int64_t> of, int64_t layer, bool head, int64_t unit) {
    const std::string name =
        fmt::format("bert.encoder.layer.{}.{}output.dense.weight", layer, head ? "attention." : "");
    const int64_t width = head ? 4 : 1;
    return (loss_with(*task, of, name, unit * width, width, 1 + kStep) -
            loss_with(*task, of, name, unit * width, width, 1 - kStep)) /
           (2 * kStep);
  };
  for (int64_t layer = 0; layer < 2; ++layer)
    for (const bool head : {true, false})
      for (int64_t unit = 0; unit < (head ? 2 : 6); ++unit) {
        SCOPED_TRACE(fmt::format("layer {}, {} {}", layer, head ? "head" : "neuron", unit));
        const auto& t = (head ? taylor.heads : taylor.neurons)[static_cast<size_t>(layer)];
        const auto& f = (head ? fisher.heads : fisher.neurons)[static_cast<size_t>(layer)];
        ASSERT_EQ(t.size(), head ? 2U : 6U);
        EXPECT_NEAR(t[static_cast<size_t>(unit)], std::abs(derivative(rows, layer, head, unit)), 2e-4);
        double squares = 0;
        for (const int64_t& row : rows) squares += std::pow(derivative({&row, 1}, layer, head, unit), 2);
        EXPECT_NEAR(f[static_cast<size_t>(unit)], squares, 5e-4);
      }
  for (const Parameter* parameter : task->parameters()) {
    EXPECT_TRUE(parameter->trained) << parameter->name;
    EXPECT_FALSE(parameter->var.has_grad()) << parameter->name;
  }
}

TEST(Importance, HiddenNumbersAreMaskedBehindEveryLayerNorm) {
  const test::TemporaryFolder place;
  const auto task = tiny_task(place);
  const ParameterList parameters = task->parameters();
  Rng rng(5, RandomStream::kTest);
  for (Parameter* parameter : parameters)  // so that gamma and beta matter
    if (parameter->name.find("LayerNorm") != std::string::npos)
      for (float& value : parameter->var.value().values<float>()) value += static_cast<float>(0.3 * rng.normal());
  const std::vector<int64_t> rows = {2, 0, 3, 1};
  const Importance taylor = gradient_importance(*task, tiny_config(), Criterion::kTaylor, rows, 4, {});
  const auto loss = [&](size_t number, float scale) {
    const NoGrad no_grad;
    std::vector<std::pair<Parameter*, Tensor>> old;
    for (Parameter* parameter : parameters) {
      if (parameter->name.find("LayerNorm") == std::string::npos) continue;
      old.emplace_back(parameter, parameter->var.value().clone());
      const Tensor changed = parameter->var.value().clone();
      changed.data<float>()[number] *= scale;
      parameter->set(changed);
    }
    EXPECT_EQ(old.size(), 10U) << "five norms of two layers";
    ForwardContext context;
    const double found = static_cast<double>(task->loss(rows, context).value().data<float>()[0]);
    for (auto& [parameter, value] : old) parameter->set(value);
    return found;
  };
  ASSERT_EQ(taylor.hidden.size(), 8U);
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(taylor.hidden[i], std::abs(loss(i, 1.002F) - loss(i, 0.998F)) / 0.004, 1e-3) << i;
}

TEST(Importance, AModelWithoutHeadsAndNeuronsHasNone) {
  const test::TemporaryFolder place;
  const auto task = tiny_task(place);
  BertConfig config = tiny_config();
  config.num_hidden_layers = 0;
  const std::vector<int64_t> rows = {0};
  const Importance found = gradient_importance(*task, config, Criterion::kFisher, rows, 1, {});
  EXPECT_TRUE(found.heads.empty() && found.neurons.empty());
}

TEST(Importance, MagnitudeIsTheProductOfTwoNorms) {
  const test::TemporaryFolder place;
  const auto task = tiny_task(place);
  const ParameterList parameters = task->parameters();
  const Importance found = magnitude_importance(parameters, tiny_config());
  const auto value = [&](const std::string& name) -> const Tensor& {
    return (*std::ranges::find(parameters, name, &Parameter::name))->var.value();
  };
  const Tensor &up = value("bert.encoder.layer.1.intermediate.dense.weight"),
               &down = value("bert.encoder.layer.1.output.dense.weight");
  std::vector<double> expected;
  double length = 0;
  for (int64_t n = 0; n < 6; ++n) {
    double in = 0, out = 0;
    for (int64_t h = 0; h < 8; ++h) {
      in += std::pow(static_cast<double>(up.data<float>()[n * 8 + h]), 2);
      out += std::pow(static_cast<double>(down.data<float>()[h * 6 + n]), 2);
    }
    expected.push_back(std::sqrt(in * out));
    length += in * out;
  }
  for (size_t n = 0; n < 6; ++n) EXPECT_NEAR(found.neurons[1][n], expected[n] / std::sqrt(length), 1e-6);
  EXPECT_EQ(found.heads[0].size(), 2U);
}

}  // namespace
}  // namespace cloze
