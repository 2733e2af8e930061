#include "cloze/ops/ops.h"

namespace cloze {

// Backward: xhat = (sum - mean) rstd, g = dy gamma; dsum = rstd (g - mean(g) - xhat mean(g xhat));
// dx = dropout'(dsum), dresidual = dsum, dgamma = sum_T dy xhat, dbeta = sum_T dy.
Var add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta, double eps,
                   const Dropout& dropout) {
  const Shape s = x.value().shape();
  CLOZE_CHECK(s.rank() == 2, ErrorCode::kShape, "[add_layer_norm] x must be [T,H], got {}", s);
  CLOZE_CHECK(!residual.defined() || residual.value().shape() == s, ErrorCode::kShape,
              "[add_layer_norm] residual must be {} as x, got {}", s, residual.value().shape());
  CLOZE_CHECK(gamma.value().shape() == Shape({s[1]}) && beta.value().shape() == Shape({s[1]}), ErrorCode::kShape,
              "[add_layer_norm] gamma and beta must be [{}], got {} and {}", s[1], gamma.value().shape(),
              beta.value().shape());
  const bool record = will_record({&x, &residual, &gamma, &beta});
  const DType dtype = x.value().dtype();
  const bool plain = !residual.defined() && !dropout.active();  // then the sum is x itself
  const bool read_back = will_record({&x, &residual, &gamma});  // dbeta alone takes nothing but dy
  const auto saved = [&](const Shape& shape) { return read_back ? Tensor(shape, dtype) : Tensor(); };
  const Tensor y(s, dtype), mean = saved({s[0]}), rstd = saved({s[0]}), sum = plain ? Tensor() : saved(s);
  backend().add_layer_norm({.x = x.value(),
                            .residual = residual.defined() ? residual.value() : Tensor(),
                            .gamma = gamma.value(),
                            .beta = beta.value(),
                            .dropout = dropout,
                            .eps = eps,
                            .sum = sum,
                            .mean = mean,
                            .rstd = rstd,
                            .y = y});
  if (!record) return Var(y);
  const Tensor input = plain && read_back ? x.value() : sum;
  const auto backward = [=, x = x.slot(), residual = residual.slot()](const Tensor& dy) {
    const auto wanted = [&](const Var& part) { return part.needs_grad() ? Tensor(part.shape(), dtype) : Tensor(); };
    const Tensor dgamma = wanted(gamma), dbeta = wanted(beta);
    // Without dropout both inputs have the same gradient: one tensor serves.
    const bool shared = !dropout.active() && (x.needs_grad() || residual.needs_grad());
    const Tensor dresidual = residual.needs_grad() || shared ? Tensor(s, dtype) : Tensor();
    const Tensor dx = x.needs_grad() && !shared ? Tensor(s, dtype) : Tensor();
    backend().add_layer_norm_backward({.sum = input,
                                       .mean = mean,
                                       .rstd = rstd,
                                       .gamma = gamma.value(),
                                       .dy = dy,
                                       .dropout = dropout,
                                       .dx = dx,
                                       .dresidual = dresidual,
                                       .dgamma = dgamma,
                                       .dbeta = dbeta});
    x.add_grad(shared ? dresidual : dx);
    residual.add_grad(dresidual);
    gamma.add_grad(dgamma);
    beta.add_grad(dbeta);
  };
  return Var::from_op(y, {x, residual, gamma, beta}, backward);
}

}  // namespace cloze
