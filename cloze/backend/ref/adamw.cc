#include <cmath>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"
#include "cloze/backend/round16.h"

namespace cloze {
namespace {

/// The options, each rounded once, as a whole: 1 - beta2 from an f32 beta2 would be wrong in its fifth digit.
template <class Real>
struct Betas {
  template <class Args>
  explicit Betas(const Args& a) : beta1(a.beta1), new1(1 - a.beta1), beta2(a.beta2), new2(1 - a.beta2), eps(a.eps) {}
  Real beta1, new1, beta2, new2, eps;
};
template <class Real>
struct Factors {
  Factors(const AdamWStep& s, double decay)
      : grad_scale(s.grad_scale), shrink(1 - s.lr * decay), rate(s.lr / s.correction1), correct2(1 / s.correction2) {}
  Real grad_scale, shrink, rate, correct2;
};

/// One element's step: the new m and v, param in place.
template <class Real>
void update(const Betas<Real>& b, const Factors<Real>& f, Real grad, Real& param, Real& m, Real& v) {
  const Real g = f.grad_scale * grad;
  m = b.beta1 * m + b.new1 * g;
  v = b.beta2 * v + b.new2 * g * g;
  param = f.shrink * param - f.rate * m / (std::sqrt(f.correct2 * v) + b.eps);
}

/// The same on element i of the tensors, whichever way they keep the moments.
template <class Real, class Args>
void update_at(const Args& a, const Betas<Real>& betas, const Factors<Real>& factors, int64_t step, Real grad,
               int64_t i) {
  Real& param = a.param.template data<Real>()[i];
  if (a.m.dtype() != DType::kBF16)
    return update(betas, factors, grad, param, a.m.template data<Real>()[i], a.v.template data<Real>()[i]);
  uint16_t &m16 = a.m.template data<uint16_t>()[i], &v16 = a.v.template data<uint16_t>()[i];
  Real m = Real(bf16_value(m16)), v = Real(bf16_value(v16));
  update(betas, factors, grad, param, m, v);
  m16 = bf16_nearest(static_cast<float>(m));
  v16 = bf16_random(static_cast<float>(v), rounding_random16(step, a.site, i));
}

template <class Real>
void adamw_of(const AdamWArgs& a) {
  const double step = static_cast<double>(a.step);
  const AdamWStep one{.grad_scale = a.grad_scale,
                      .lr = a.lr,
                      .step = a.step,
                      .correction1 = 1 - std::pow(a.beta1, step),
                      .correction2 = 1 - std::pow(a.beta2, step)};
  const Betas<Real> betas(a);
  const Factors<Real> factors(one, a.decay);
  for (int64_t i = 0; i < a.param.elements(); ++i) update_at(a, betas, factors, a.step, a.grad.data<Real>()[i], i);
}

template <class Real>
void adamw_rows_of(const AdamWRowsArgs& a) {
  const int64_t H = a.param.shape()[1], count = a.rows.defined() ? a.rows.elements() : a.param.shape()[0];
  const int32_t steps = static_cast<int32_t>(a.steps.size());
  const Betas<Real> betas(a);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t row = a.rows.defined() ? a.rows.data<int32_t>()[r] : r;
    int32_t& done = a.done.data<int32_t>()[row];
    for (; done < steps; ++done) {
      const AdamWStep& step = a.steps[static_cast<size_t>(done)];
      const Factors<Real> factors(step, a.decay);
      const Real* grad = a.grad.defined() && done == steps - 1 ? a.grad.data<Real>() + r * H : nullptr;
      for (int64_t h = 0; h < H; ++h)
        update_at(a, betas, factors, step.step, grad != nullptr ? grad[h] : Real(0), row * H + h);
    }
  }
}

}  // namespace

void RefBackend::adamw(const AdamWArgs& a) const {
  ref::for_float(a.param.dtype(), [&](auto zero) { adamw_of<decltype(zero)>(a); });
}

void RefBackend::adamw_rows(const AdamWRowsArgs& a) const {
  ref::for_float(a.param.dtype(), [&](auto zero) { adamw_rows_of<decltype(zero)>(a); });
}

}  // namespace cloze
