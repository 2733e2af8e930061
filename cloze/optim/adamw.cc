#include "cloze/optim/adamw.h"

#include <cmath>

#include "cloze/backend/backend.h"

namespace cloze {

AdamW::AdamW(ParameterList parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const Parameter* parameter : parameters_) {
    m_.push_back(Tensor::zeros(parameter->shape, parameter->var.value().dtype()));
    v_.push_back(Tensor::zeros(parameter->shape, parameter->var.value().dtype()));
  }
}

double AdamW::gradient_norm() const {
  double sum = 0;
  for (const Parameter* parameter : parameters_) {
    const Var& var = parameter->var;
    if (var.has_grad()) sum += backend().sum_squares(var.row_grad().defined() ? var.row_grad().values : var.grad());
  }
  return std::sqrt(sum);
}

void AdamW::step(double learning_rate, double grad_scale) {
  ++steps_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = *parameters_[i];
    if (!parameter.var.has_grad()) continue;
    backend().adamw({.param = parameter.var.value(),
                     .grad = parameter.var.grad(),
                     .m = m_[i],
                     .v = v_[i],
                     .grad_scale = grad_scale,
                     .lr = learning_rate,
                     .beta1 = options_.beta1,
                     .beta2 = options_.beta2,
                     .eps = options_.eps,
                     .decay = parameter.decay == Decay::kYes ? options_.weight_decay : 0.0,
                     .step = steps_});
    parameter.var.clear_grad();
  }
}

}  // namespace cloze
