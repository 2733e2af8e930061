#include "cloze/optim/adamw.h"

#include <cmath>

#include "cloze/backend/backend.h"

namespace cloze {

MomentType parse_moment_type(const std::string& name) {
  if (name == "f32") return MomentType::kAsParameter;
  CLOZE_CHECK(name == "bf16", ErrorCode::kUsage, "--optimizer-state must be f32 or bf16, got \"{}\"", name);
  return MomentType::kBF16;
}

AdamW::AdamW(ParameterList parameters, const AdamWOptions& options, std::vector<ParameterPace> paces)
    : parameters_(std::move(parameters)), options_(options), paces_(std::move(paces)) {
  if (paces_.empty()) paces_.resize(parameters_.size());
  CLOZE_CHECK(paces_.size() == parameters_.size(), ErrorCode::kInternal, "{} paces for {} parameters", paces_.size(),
              parameters_.size());
  for (const Parameter* parameter : parameters_) {
    const DType dtype = options.moments == MomentType::kBF16 ? DType::kBF16 : parameter->var.dtype();
    m_.push_back(Tensor::zeros(parameter->shape, dtype));
    v_.push_back(Tensor::zeros(parameter->shape, dtype));
  }
  lazy_.resize(parameters_.size());
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
    const Var& var = parameters_[i]->var;
    if (!var.has_grad()) continue;
    const int64_t own_steps = steps_ - paces_[i].start;
    const double count = static_cast<double>(own_steps);
    const AdamWStep step{.grad_scale = grad_scale,
                         .lr = learning_rate * paces_[i].rate,
                         .step = own_steps,
                         .correction1 = 1.0 - std::pow(options_.beta1, count),
                         .correction2 = 1.0 - std::pow(options_.beta2, count)};
    if (var.row_grad().defined()) {
      if (lazy_[i] == nullptr) lazy_[i] = std::make_shared<LazyRows>(settings(i));
      lazy_[i]->step(var, step);
    } else {
      settled(i);
      AdamWArgs args = settings(i);
      args.param = var.value();
      args.grad = var.grad();
      args.grad_scale = grad_scale;
      args.lr = step.lr;
      args.step = own_steps;
      backend().adamw(args);
    }
    var.clear_grad();
  }
}

void AdamW::restore(int64_t steps) {
  for (size_t i = 0; i < parameters_.size(); ++i) settled(i);
  steps_ = steps;
}

void AdamW::settled(size_t i) const {
  if (lazy_[i] != nullptr) lazy_[i]->settle_all();
}

/// What does not change from step to step.
AdamWArgs AdamW::settings(size_t i) const {
  return {.param = {},
          .grad = {},
          .m = m_[i],
          .v = v_[i],
          .grad_scale = 1,
          .lr = 0,
          .beta1 = options_.beta1,
          .beta2 = options_.beta2,
          .eps = options_.eps,
          .decay = paces_[i].decays && parameters_[i]->decay == Decay::kYes ? options_.weight_decay : 0.0,
          .step = 0,
          .site = static_cast<uint32_t>(i)};
}

}  // namespace cloze
