#include "cloze/compress/movement.h"

#include <algorithm>
#include <cmath>

#include "cloze/base/error.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/optim/zero_mask.h"
#include "cloze/task/task.h"

namespace cloze {
namespace {

void add_movement(const ParameterList& products, std::map<std::string, Tensor>& scores) {
  for (const Parameter* product : products) {
    if (!product->var.has_grad()) continue;
    const auto value = product->var.value().values<float>(), gradient = product->var.grad().values<float>(),
               score = scores.at(product->name).values<float>();
    for (size_t i = 0; i < score.size(); ++i) score[i] -= value[i] * gradient[i];
  }
}

void to_prices(std::span<std::vector<double>> groups) {
  double squares = 0, count = 0;
  for (const std::vector<double>& group : groups)
    for (const double score : group) squares += score * score, ++count;
  if (count == 0) return;
  const double mean = squares / count;
  for (std::vector<double>& group : groups)
    for (double& score : group) score += std::sqrt(score * score + mean);
}

}  // namespace

Movement movement_of(TrainingTask& task, const BertConfig& config, std::span<const int64_t> rows,
                     const MovementOptions& options) {
  CLOZE_CHECK(!rows.empty() && options.batch >= 1, ErrorCode::kInternal, "movement over {} rows, {} at a time",
              rows.size(), options.batch);
  constexpr double kRise = 0.1, kMostNorm = 1;
  const ParameterList parameters = task.parameters(), products = encoder_products(parameters);
  const MaskDerivatives masks(parameters, config);
  Movement movement{{}, masks.zeros()};
  for (const Parameter* product : products)
    movement.weights.emplace(product->name, Tensor::zeros(product->shape, DType::kF32));
  ZeroMask zeros(products);
  AdamW optimizer(parameters, {});
  const auto batch = static_cast<size_t>(options.batch);
  const auto steps = static_cast<int64_t>((rows.size() + batch - 1) / batch);
  const Schedule schedule{options.rate, std::lround(kRise * static_cast<double>(steps)), steps, Decline::kLinear};
  for (int64_t step = 0; step < steps; ++step) {
    const size_t begin = static_cast<size_t>(step) * batch;
    const auto part = rows.subspan(begin, std::min(batch, rows.size() - begin));
    ForwardContext context = ForwardContext::training(options.seed, static_cast<uint64_t>(step));
    backward(task.loss(part, context));
    const double norm = optimizer.gradient_norm();
    CLOZE_CHECK(std::isfinite(norm), ErrorCode::kValue,
                "step {} of {}: the gradients are no longer finite; give a smaller learning rate than {}", step + 1,
                steps, options.rate);
    masks.add_to(movement.units, [](double derivative) { return -derivative; });
    add_movement(products, movement.weights);
    optimizer.step(schedule.rate(step), norm > kMostNorm ? kMostNorm / norm : 1.0);
    zeros.apply();
    if (options.progress) options.progress(static_cast<int64_t>(begin + part.size()));
  }
  return movement;
}

Importance as_prices(Importance units) {
  to_prices(units.heads);
  to_prices(units.neurons);
  to_prices({&units.hidden, 1});
  return units;
}

}  // namespace cloze
