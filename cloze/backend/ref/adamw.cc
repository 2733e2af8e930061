#include <cmath>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

template <class Real>
void adamw_of(const AdamWArgs& a) {
  Real *param = a.param.data<Real>(), *m = a.m.data<Real>(), *v = a.v.data<Real>();
  const Real* grad = a.grad.data<Real>();
  // The factors are rounded once, as a whole: 1 - beta2 from an f32 beta2 would be wrong in its fifth digit.
  const Real shrink(1 - a.lr * a.decay), beta1(a.beta1), new1(1 - a.beta1), beta2(a.beta2), new2(1 - a.beta2);
  const double step = static_cast<double>(a.step);
  const Real rate(a.lr / (1 - std::pow(a.beta1, step))), correct2(1 / (1 - std::pow(a.beta2, step)));
  const Real grad_scale(a.grad_scale), eps(a.eps);
  for (int64_t i = 0; i < a.param.elements(); ++i) {
    const Real g = grad_scale * grad[i];
    m[i] = beta1 * m[i] + new1 * g;
    v[i] = beta2 * v[i] + new2 * g * g;
    param[i] = shrink * param[i] - rate * m[i] / (std::sqrt(correct2 * v[i]) + eps);
  }
}

}  // namespace

void RefBackend::adamw(const AdamWArgs& a) const {
  ref::for_float(a.param.dtype(), [&](auto zero) { adamw_of<decltype(zero)>(a); });
}

}  // namespace cloze
