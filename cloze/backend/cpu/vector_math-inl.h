// Per-target: elementwise functions on vectors of f32. Included once per SIMD target.
#if defined(CLOZE_BACKEND_CPU_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLOZE_BACKEND_CPU_VECTOR_MATH_INL_H_
#undef CLOZE_BACKEND_CPU_VECTOR_MATH_INL_H_
#else
#define CLOZE_BACKEND_CPU_VECTOR_MATH_INL_H_
#endif

#include "cloze/backend/backend.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

/// The first `count` elements (0 to a vector's lanes) from and to memory; what lies behind them is not touched. Below
/// AVX2, Highway's own MaskedLoad and BlendedStore read and write the whole vector.
HWY_INLINE hn::Vec<F32> load_first(const float* from, int64_t count) {
  const F32 d;
#if HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}
HWY_INLINE void store_first(hn::Vec<F32> v, float* to, int64_t count) {
  const F32 d;
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}

/// erf as z P(z^2) / Q(z^2), clamped where erf is 1 in f32. The coefficients were fitted for this file by
/// iteratively reweighted least squares on [0, 3.93]: 1.7e-8 in exact arithmetic, 3.2e-7 in f32.
template <class D, class V>
HWY_INLINE V vector_erf(D d, V x) {
  const V limit = hn::Set(d, 3.93f);
  const V z = hn::Min(hn::Max(x, hn::Neg(limit)), limit);
  const V u = hn::Mul(z, z);
  V p = hn::Set(d, 2.02698811e-06f);
  p = hn::MulAdd(p, u, hn::Set(d, 2.87505653e-04f));
  p = hn::MulAdd(p, u, hn::Set(d, 3.88438534e-03f));
  p = hn::MulAdd(p, u, hn::Set(d, 5.31084128e-02f));
  p = hn::MulAdd(p, u, hn::Set(d, 1.93182543e-01f));
  p = hn::MulAdd(p, u, hn::Set(d, 1.12837899e+00f));
  V q = hn::Set(d, 3.79921185e-05f);
  q = hn::MulAdd(q, u, hn::Set(d, 1.19139766e-03f));
  q = hn::MulAdd(q, u, hn::Set(d, 1.52045377e-02f));
  q = hn::MulAdd(q, u, hn::Set(d, 1.15250908e-01f));
  q = hn::MulAdd(q, u, hn::Set(d, 5.04535198e-01f));
  q = hn::MulAdd(q, u, hn::Set(d, 1.0f));
  return hn::Div(hn::Mul(z, p), q);
}

/// sqrt(2/pi) (x + 0.044715 x^3): the inner value of the tanh form of GELU.
template <class D, class V>
HWY_INLINE V gelu_tanh_inner(D d, V x) {
  const V cube = hn::Mul(hn::Mul(x, x), x);
  return hn::Mul(hn::Set(d, 0.7978845608f), hn::MulAdd(hn::Set(d, 0.044715f), cube, x));
}

template <class D, class V>
HWY_INLINE V activate(D d, Activation activation, V x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return hn::Max(x, hn::Zero(d));
    case Activation::kTanh:
      return hn::Tanh(d, x);
    case Activation::kGelu: {
      const V half = hn::Mul(x, hn::Set(d, 0.5f));
      return hn::MulAdd(half, vector_erf(d, hn::Mul(x, hn::Set(d, 0.70710678f))), half);
    }
    case Activation::kGeluTanh: {
      const V half = hn::Mul(x, hn::Set(d, 0.5f));
      return hn::MulAdd(half, hn::Tanh(d, gelu_tanh_inner(d, x)), half);
    }
  }
  return x;
}

/// activation'(x), x the value before the activation.
template <class D, class V>
HWY_INLINE V activation_slope(D d, Activation activation, V x) {
  const V one = hn::Set(d, 1.0f), half = hn::Set(d, 0.5f);
  switch (activation) {
    case Activation::kNone:
      return one;
    case Activation::kRelu:
      return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), one);
    case Activation::kTanh: {
      const V t = hn::Tanh(d, x);
      return hn::NegMulAdd(t, t, one);
    }
    case Activation::kGelu: {  // Phi(x) + x phi(x)
      const V cdf = hn::MulAdd(half, vector_erf(d, hn::Mul(x, hn::Set(d, 0.70710678f))), half);
      const V density = hn::Mul(hn::Exp(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f))), hn::Set(d, 0.3989422804f));
      return hn::MulAdd(x, density, cdf);
    }
    case Activation::kGeluTanh: {
      const V t = hn::Tanh(d, gelu_tanh_inner(d, x));
      const V inner_slope = hn::Mul(hn::Set(d, 0.7978845608f), hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.134145f), one));
      const V outer = hn::Mul(hn::Mul(half, x), hn::NegMulAdd(t, t, one));
      return hn::MulAdd(outer, inner_slope, hn::MulAdd(half, t, half));
    }
  }
  return one;
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#endif
