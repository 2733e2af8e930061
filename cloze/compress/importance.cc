#include "cloze/compress/importance.h"

#include <algorithm>
#include <cmath>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/task/task.h"

namespace cloze {
namespace {

/// The tensors of a layer that scores are made of; null without heads or neurons.
struct LayerWeights {
  const Parameter *value = nullptr, *output = nullptr, *up = nullptr, *down = nullptr;
};

std::vector<LayerWeights> layer_weights(const ParameterList& parameters, const BertConfig& config) {
  std::vector<LayerWeights> layers(static_cast<size_t>(config.num_hidden_layers));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const auto find = [&](const char* rest) -> const Parameter* {
      const std::string name = fmt::format("bert.encoder.layer.{}.{}.weight", i, rest);
      const auto at = std::ranges::find(parameters, name, &Parameter::name);
      return at == parameters.end() ? nullptr : *at;
    };
    layers[static_cast<size_t>(i)] = {find("attention.self.value"), find("attention.output.dense"),
                                      find("intermediate.dense"), find("output.dense")};
  }
  return layers;
}

/// gamma and beta of every layer norm of the encoder.
std::vector<std::pair<Parameter*, Parameter*>> layer_norms(const ParameterList& parameters) {
  std::vector<std::pair<Parameter*, Parameter*>> norms;
  for (Parameter* gamma : parameters) {
    if (!gamma->name.starts_with("bert.") || !gamma->name.ends_with(".LayerNorm.weight")) continue;
    const std::string beta = gamma->name.substr(0, gamma->name.size() - std::string("weight").size()) + "bias";
    norms.emplace_back(gamma, *std::ranges::find(parameters, beta, &Parameter::name));
  }
  return norms;
}

/// sum over rows m and the group's columns of a[m,k] b[m,k], for each group of `width` columns.
std::vector<double> column_products(const Tensor& a, const Tensor& b, int64_t width) {
  const int64_t M = a.shape()[0], K = a.shape()[1];
  std::vector<double> sums(static_cast<size_t>(K / width), 0);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k)
      sums[static_cast<size_t>(k / width)] +=
          static_cast<double>(a.data<float>()[m * K + k]) * static_cast<double>(b.data<float>()[m * K + k]);
  return sums;
}

/// Sum of squares of each group of `width` rows of a [M,K].
std::vector<double> row_squares(const Tensor& a, int64_t width) {
  const int64_t M = a.shape()[0], K = a.shape()[1];
  std::vector<double> sums(static_cast<size_t>(M / width), 0);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k) {
      const double x = static_cast<double>(a.data<float>()[m * K + k]);
      sums[static_cast<size_t>(m / width)] += x * x;
    }
  return sums;
}

void to_unit_length(std::vector<double>& scores) {
  double squares = 0;
  for (const double score : scores) squares += score * score;
  if (squares > 0)
    for (double& score : scores) score /= std::sqrt(squares);
}

std::vector<double> joint_norms(const Tensor& rows, const Tensor& columns, int64_t width) {
  std::vector<double> norms = row_squares(rows, width);
  const std::vector<double> other = column_products(columns, columns, width);
  for (size_t i = 0; i < norms.size(); ++i) norms[i] = std::sqrt(norms[i] * other[i]);
  to_unit_length(norms);
  return norms;
}

}  // namespace

Criterion parse_criterion(const std::string& name) {
  if (name == "magnitude") return Criterion::kMagnitude;
  if (name == "taylor") return Criterion::kTaylor;
  if (name == "fisher") return Criterion::kFisher;
  if (name == "movement") return Criterion::kMovement;
  fail(ErrorCode::kUsage, "--importance: unknown \"{}\"{}; there are magnitude, taylor, fisher, movement", name,
       did_you_mean(name, {"magnitude", "taylor", "fisher", "movement"}));
}

Importance magnitude_importance(const ParameterList& parameters, const BertConfig& config) {
  Importance importance;
  for (const LayerWeights& layer : layer_weights(parameters, config)) {
    importance.heads.emplace_back();
    importance.neurons.emplace_back();
    if (layer.output != nullptr)
      importance.heads.back() = joint_norms(layer.value->var.value(), layer.output->var.value(), config.head_width());
    if (layer.down != nullptr)
      importance.neurons.back() = joint_norms(layer.up->var.value(), layer.down->var.value(), 1);
  }
  importance.hidden.resize(static_cast<size_t>(config.hidden_size));
  for (const auto& [gamma, beta] : layer_norms(parameters)) {
    std::vector<double> norms;
    for (int64_t i = 0; i < config.hidden_size; ++i)
      norms.push_back(std::hypot(gamma->var.value().data<float>()[i], beta->var.value().data<float>()[i]));
    to_unit_length(norms);
    for (size_t i = 0; i < norms.size(); ++i) importance.hidden[i] += norms[i];
  }
  return importance;
}

MaskDerivatives::MaskDerivatives(const ParameterList& parameters, const BertConfig& config)
    : config_(config), norms_(layer_norms(parameters)) {
  for (const LayerWeights& layer : layer_weights(parameters, config)) layers_.push_back({layer.output, layer.down});
}

Importance MaskDerivatives::zeros() const {
  Importance importance;
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    importance.heads.emplace_back(static_cast<size_t>(config_.layer(i).heads), 0.0);
    importance.neurons.emplace_back(static_cast<size_t>(config_.layer(i).feed_forward), 0.0);
  }
  importance.hidden.resize(static_cast<size_t>(config_.hidden_size));
  return importance;
}

bool MaskDerivatives::reads(const Parameter* parameter) const {
  return std::ranges::any_of(layers_,
                             [&](const Outputs& of) { return parameter == of.heads || parameter == of.neurons; }) ||
         std::ranges::any_of(norms_, [&](const auto& of) { return parameter == of.first || parameter == of.second; });
}

void MaskDerivatives::add_to(Importance& sums, const std::function<double(double)>& score) const {
  const auto add = [&](const Parameter* parameter, int64_t width, std::vector<double>& to) {
    if (parameter == nullptr) return;
    const std::vector<double> derivatives = column_products(parameter->var.value(), parameter->var.grad(), width);
    for (size_t k = 0; k < to.size(); ++k) to[k] += score(derivatives[k]);
  };
  for (size_t i = 0; i < layers_.size(); ++i) {
    add(layers_[i].heads, config_.head_width(), sums.heads[i]);
    add(layers_[i].neurons, 1, sums.neurons[i]);
  }
  std::vector<double> derivatives(sums.hidden.size(), 0);
  for (const auto& [gamma, beta] : norms_)
    for (const Parameter* parameter : {gamma, beta}) {
      const float *value = parameter->var.value().data<float>(), *gradient = parameter->var.grad().data<float>();
      for (size_t i = 0; i < derivatives.size(); ++i)
        derivatives[i] += static_cast<double>(value[i]) * static_cast<double>(gradient[i]);
    }
  for (size_t i = 0; i < derivatives.size(); ++i) sums.hidden[i] += score(derivatives[i]);
}

Importance gradient_importance(TrainingTask& task, const BertConfig& config, Criterion criterion,
                               std::span<const int64_t> rows, int64_t batch,
                               const std::function<void(int64_t done)>& progress) {
  CLOZE_CHECK(!rows.empty() && batch >= 1 && (criterion == Criterion::kTaylor || criterion == Criterion::kFisher),
              ErrorCode::kInternal, "gradients of {} rows, {} at a time", rows.size(), batch);
  const ParameterList parameters = task.parameters();
  const MaskDerivatives masks(parameters, config);
  Importance importance = masks.zeros();
  // No gradients but those that are read.
  for (Parameter* parameter : parameters) parameter->set_trained(masks.reads(parameter));
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(batch)) {
    const auto part = rows.subspan(begin, std::min(static_cast<size_t>(batch), rows.size() - begin));
    ForwardContext context;
    backward(task.loss(part, context));
    masks.add_to(importance, [&](double derivative) {
      return criterion == Criterion::kFisher ? derivative * derivative : std::abs(derivative);
    });
    for (const Parameter* parameter : trained_of(parameters)) parameter->var.clear_grad();
    if (progress) progress(static_cast<int64_t>(begin + part.size()));
  }
  for (Parameter* parameter : parameters) parameter->set_trained(true);
  return importance;
}

}  // namespace cloze
