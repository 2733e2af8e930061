// Per-target: loops over one row of f32 whose length need not be a multiple of the vector.
#if defined(CLOZE_BACKEND_CPU_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLOZE_BACKEND_CPU_ROW_INL_H_
#undef CLOZE_BACKEND_CPU_ROW_INL_H_
#else
#define CLOZE_BACKEND_CPU_ROW_INL_H_
#endif

#include "cloze/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Access to the lanes of one step of a row: all of them, or the first few at its end.
struct WholeStep {
  HWY_INLINE hn::Vec<F32> load(const float* from) const { return hn::LoadU(F32(), from); }
  HWY_INLINE void store(hn::Vec<F32> v, float* to) const { hn::StoreU(v, F32(), to); }
  HWY_INLINE hn::Vec<F32> keep(hn::Vec<F32> v) const { return v; }
  HWY_INLINE hn::Vec<F32> keep_or(hn::Vec<F32> v, hn::Vec<F32>) const { return v; }
};
struct LastStep {
  int64_t count;
  HWY_INLINE hn::Vec<F32> load(const float* from) const { return load_first(from, count); }
  HWY_INLINE void store(hn::Vec<F32> v, float* to) const { store_first(v, to, count); }
  HWY_INLINE hn::Vec<F32> keep(hn::Vec<F32> v) const { return hn::IfThenElseZero(mask(), v); }
  HWY_INLINE hn::Vec<F32> keep_or(hn::Vec<F32> v, hn::Vec<F32> other) const { return hn::IfThenElse(mask(), v, other); }

  HWY_INLINE hn::Mask<F32> mask() const { return hn::FirstN(F32(), static_cast<size_t>(count)); }
};

/// body(at, step) for each vector of a row of n elements. Which element falls into which lane depends on n alone.
template <class Body>
HWY_INLINE void for_row(int64_t n, const Body& body) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  for (; at + lanes <= n; at += lanes) body(at, WholeStep{});
  if (at < n) body(at, LastStep{n - at});
}

HWY_INLINE float row_sum(hn::Vec<F32> v) {
  return hn::GetLane(hn::SumOfLanes(F32(), v));
}

/// Sum of a[i] b[i].
HWY_INLINE float row_dot(const float* a, const float* b, int64_t n) {
  auto sum = hn::Zero(F32());
  for_row(n, [&](int64_t at, auto step) HWY_ATTR { sum = hn::MulAdd(step.load(a + at), step.load(b + at), sum); });
  return row_sum(sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#endif
