#include <cmath>
#include <vector>

#include "cloze/backend/random16.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using ref::data_or_null;
using ref::for_float;

/// Mean of f(h) over 0 <= h < H.
template <class Real, class Function>
Real mean_over(int64_t H, Function f) {
  Real sum = 0;
  for (int64_t h = 0; h < H; ++h) sum += f(h);
  return sum / static_cast<Real>(H);
}

template <class Real>
void add_layer_norm_of(const AddLayerNormArgs& a) {
  const int64_t T = a.x.shape()[0], H = a.x.shape()[1];
  const Real *x = a.x.data<Real>(), *residual = data_or_null<Real>(a.residual);
  const Real *gamma = a.gamma.data<Real>(), *beta = a.beta.data<Real>();
  Real *sum = data_or_null<Real>(a.sum), *mean = data_or_null<Real>(a.mean), *rstd = data_or_null<Real>(a.rstd);
  Real* y = a.y.data<Real>();
  Random16 random(a.dropout);
  std::vector<Real> row(static_cast<size_t>(H));
  Real* s = row.data();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = t * H; i < (t + 1) * H; ++i) {
      const Real kept = a.dropout.active() ? x[i] * Real(random.factor(i)) : x[i];
      s[i - t * H] = residual != nullptr ? kept + residual[i] : kept;
    }
    const Real mu = mean_over<Real>(H, [&](int64_t h) { return s[h]; });
    const Real variance = mean_over<Real>(H, [&](int64_t h) { return (s[h] - mu) * (s[h] - mu); });
    const Real r = Real(1) / std::sqrt(variance + Real(a.eps));
    for (int64_t h = 0; h < H; ++h) {
      if (sum != nullptr) sum[t * H + h] = s[h];
      y[t * H + h] = (s[h] - mu) * r * gamma[h] + beta[h];
    }
    if (mean != nullptr) mean[t] = mu;
    if (rstd != nullptr) rstd[t] = r;
  }
}

/// With g = dy gamma: dsum = rstd (g - mean_H(g) - xhat mean_H(g xhat)).
template <class Real>
void add_layer_norm_backward_of(const AddLayerNormBackwardArgs& a) {
  const int64_t T = a.dy.shape()[0], H = a.dy.shape()[1];
  if (!a.sum.defined()) {
    a.dbeta.set_zero();
    for (int64_t i = 0; i < T * H; ++i) a.dbeta.data<Real>()[i % H] += a.dy.data<Real>()[i];
    return;
  }
  const Real *sum = a.sum.data<Real>(), *mean = a.mean.data<Real>(), *rstd = a.rstd.data<Real>();
  const Real *gamma = a.gamma.data<Real>(), *dy = a.dy.data<Real>();
  Real *dx = data_or_null<Real>(a.dx), *dresidual = data_or_null<Real>(a.dresidual);
  Real *dgamma = data_or_null<Real>(a.dgamma), *dbeta = data_or_null<Real>(a.dbeta);
  for (const Tensor& output : {a.dgamma, a.dbeta})
    if (output.defined()) output.set_zero();
  Random16 random(a.dropout);
  for (int64_t t = 0; t < T; ++t) {
    const auto xhat = [&](int64_t h) { return (sum[t * H + h] - mean[t]) * rstd[t]; };
    const auto g = [&](int64_t h) { return dy[t * H + h] * gamma[h]; };
    const Real mean_g = mean_over<Real>(H, g);
    const Real mean_g_xhat = mean_over<Real>(H, [&](int64_t h) { return g(h) * xhat(h); });
    for (int64_t h = 0; h < H; ++h) {
      const int64_t i = t * H + h;
      const Real dsum = rstd[t] * (g(h) - mean_g - xhat(h) * mean_g_xhat);
      if (dx != nullptr) dx[i] = a.dropout.active() ? dsum * Real(random.factor(i)) : dsum;
      if (dresidual != nullptr) dresidual[i] = dsum;
      if (dgamma != nullptr) dgamma[h] += dy[i] * xhat(h);
      if (dbeta != nullptr) dbeta[h] += dy[i];
    }
  }
}

}  // namespace

void RefBackend::add_layer_norm(const AddLayerNormArgs& a) const {
  for_float(a.x.dtype(), [&](auto zero) { add_layer_norm_of<decltype(zero)>(a); });
}

void RefBackend::add_layer_norm_backward(const AddLayerNormBackwardArgs& a) const {
  for_float(a.dy.dtype(), [&](auto zero) { add_layer_norm_backward_of<decltype(zero)>(a); });
}

}  // namespace cloze
