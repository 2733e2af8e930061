#include "cloze/backend/ref/activation.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using namespace ref;

template <class Real>
void linear_of(const LinearArgs& a) {
  const int64_t T = a.x.shape()[0], K = a.x.shape()[1], M = a.weight.shape()[0];
  const Real *x = a.x.data<Real>(), *weight = a.weight.data<Real>(), *bias = data_or_null<Real>(a.bias);
  Real *pre = data_or_null<Real>(a.pre), *y = a.y.data<Real>();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t m = 0; m < M; ++m) {
      const Real sum = dot(x + t * K, weight + m * K, K) + (bias != nullptr ? bias[m] : Real(0));
      if (pre != nullptr) pre[t * M + m] = sum;
      y[t * M + m] = activate(a.activation, sum);
    }
  }
}

/// dpre[T,M] = dy * activation'(pre)
template <class Real>
Tensor gradient_before_activation(const LinearBackwardArgs& a) {
  if (a.activation == Activation::kNone) return a.dy;
  const Tensor dpre(a.dy.shape(), a.dy.dtype());
  const Real *pre = a.pre.data<Real>(), *dy = a.dy.data<Real>();
  for (int64_t i = 0; i < dpre.elements(); ++i) dpre.data<Real>()[i] = dy[i] * activation_slope(a.activation, pre[i]);
  return dpre;
}

template <class Real>
void linear_backward_of(const LinearBackwardArgs& a) {
  const int64_t T = a.x.shape()[0], K = a.x.shape()[1], M = a.weight.shape()[0];
  const Tensor gradient = gradient_before_activation<Real>(a);
  const Real *x = a.x.data<Real>(), *weight = a.weight.data<Real>(), *dpre = gradient.data<Real>();
  Real *dx = data_or_null<Real>(a.dx), *dweight = data_or_null<Real>(a.dweight), *dbias = data_or_null<Real>(a.dbias);
  for (const Tensor& output : {a.dx, a.dweight, a.dbias})
    if (output.defined()) output.set_zero();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t m = 0; m < M; ++m) {
      const Real d = dpre[t * M + m];
      if (dx != nullptr) add_scaled(d, weight + m * K, dx + t * K, K);
      if (dweight != nullptr) add_scaled(d, x + t * K, dweight + m * K, K);
      if (dbias != nullptr) dbias[m] += d;
    }
  }
}

}  // namespace

std::unique_ptr<PreparedWeight> RefBackend::prepare(const Tensor&) const {
  return nullptr;
}

void RefBackend::linear(const LinearArgs& a) const {
  for_float(a.x.dtype(), [&](auto zero) { linear_of<decltype(zero)>(a); });
}

void RefBackend::linear_backward(const LinearBackwardArgs& a) const {
  for_float(a.x.dtype(), [&](auto zero) { linear_backward_of<decltype(zero)>(a); });
}

const Backend& ref_backend() {
  static const RefBackend instance;
  return instance;
}

}  // namespace cloze
