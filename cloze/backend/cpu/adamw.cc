#include <cmath>
#include <vector>

#include "cloze/backend/cpu/kernels.h"
#include "cloze/backend/round16.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/adamw.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/blocks-inl.h"
#include "cloze/backend/cpu/dropout-inl.h"
#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

using V32 = hn::Vec<F32>;

/// The options, each rounded once, as a whole.
struct AdamWBetas {
  template <class Args>
  explicit AdamWBetas(const Args& a)
      : beta1(static_cast<float>(a.beta1)),
        rest1(static_cast<float>(1.0 - a.beta1)),
        beta2(static_cast<float>(a.beta2)),
        rest2(static_cast<float>(1.0 - a.beta2)),
        eps(static_cast<float>(a.eps)) {}
  float beta1, rest1, beta2, rest2, eps;
};
/// What a step adds to them.
struct AdamWFactors {
  AdamWFactors(const AdamWStep& s, double decay)
      : scale(static_cast<float>(s.grad_scale)),
        shrink(static_cast<float>(1.0 - s.lr * decay)),
        rate(static_cast<float>(s.lr / s.correction1)),
        root(static_cast<float>(1.0 / std::sqrt(s.correction2))) {}
  float scale, shrink, rate, root;
};

/// One step of a vector of elements; g is the scaled gradient.
HWY_INLINE void adamw_update(const AdamWBetas& b, const AdamWFactors& f, V32 g, V32& param, V32& m, V32& v) {
  const F32 d;
  m = hn::MulAdd(hn::Set(d, b.beta1), m, hn::Mul(hn::Set(d, b.rest1), g));
  v = hn::MulAdd(hn::Set(d, b.beta2), v, hn::Mul(hn::Set(d, b.rest2), hn::Mul(g, g)));
  const V32 denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, f.root), hn::Set(d, b.eps));
  const V32 kept = hn::Mul(param, hn::Set(d, f.shrink));
  param = hn::NegMulAdd(hn::Set(d, f.rate), hn::Div(m, denominator), kept);
}

/// Moments as f32.
struct WideMoments {
  float *m, *v;
  WideMoments at(int64_t i) const { return {m + i, v + i}; }
};

/// A step over n elements with its gradient, or with 0 where grad is null.
void adamw_span(const AdamWBetas& betas, const AdamWFactors& factors, const float* grad, float* param,
                const WideMoments& moments, int64_t n) {
  const auto scale = hn::Set(F32(), factors.scale);
  for_row(n, [&](int64_t i, auto step) HWY_ATTR {
    V32 p = step.load(param + i), m = step.load(moments.m + i), v = step.load(moments.v + i);
    const V32 g = grad != nullptr ? hn::Mul(step.load(grad + i), scale) : hn::Zero(F32());
    adamw_update(betas, factors, g, p, m, v);
    step.store(m, moments.m + i);
    step.store(v, moments.v + i);
    step.store(p, param + i);
  });
}

/// Are m and v of n elements +0, all bits? Then without a gradient a step moves the parameter by its decay alone.
HWY_INLINE bool all_zero(V32 m, V32 v) {
  const hn::RebindToUnsigned<F32> du;
  return hn::AllTrue(du, hn::Eq(hn::Or(hn::BitCast(du, m), hn::BitCast(du, v)), hn::Zero(du)));
}

/// Steps without gradient over a row of n elements: each vector is loaded once for all of them.
void adamw_replay(const AdamWBetas& betas, std::span<const AdamWFactors> steps, float* param,
                  const WideMoments& moments, int64_t n) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto decays_only = [&](auto step, int64_t i) HWY_ATTR {
    return betas.eps > 0 && all_zero(step.load(moments.m + i), step.load(moments.v + i));
  };
  int64_t begin = 0;
  // The products are a chain: four of them at a time, or each would wait for the last.
  for (; begin + 4 * lanes <= n; begin += 4 * lanes) {
    bool all = true;
    for (int64_t k = 0; k < 4; ++k) all = all && decays_only(WholeStep{}, begin + k * lanes);
    if (!all) break;
    float* p = param + begin;
    V32 p0 = hn::LoadU(d, p), p1 = hn::LoadU(d, p + lanes);
    V32 p2 = hn::LoadU(d, p + 2 * lanes), p3 = hn::LoadU(d, p + 3 * lanes);
    for (const AdamWFactors& factors : steps) {
      const V32 shrink = hn::Set(d, factors.shrink);
      p0 = hn::Mul(p0, shrink), p1 = hn::Mul(p1, shrink);
      p2 = hn::Mul(p2, shrink), p3 = hn::Mul(p3, shrink);
    }
    hn::StoreU(p0, d, p), hn::StoreU(p1, d, p + lanes);
    hn::StoreU(p2, d, p + 2 * lanes), hn::StoreU(p3, d, p + 3 * lanes);
  }
  for_row(n - begin, [&](int64_t offset, auto step) HWY_ATTR {
    const int64_t i = begin + offset;
    V32 p = step.load(param + i), m = step.load(moments.m + i), v = step.load(moments.v + i);
    if (decays_only(step, i)) {
      for (const AdamWFactors& factors : steps) p = hn::Mul(p, hn::Set(d, factors.shrink));
      return step.store(p, param + i);
    }
    for (const AdamWFactors& factors : steps) adamw_update(betas, factors, hn::Zero(d), p, m, v);
    step.store(m, moments.m + i);
    step.store(v, moments.v + i);
    step.store(p, param + i);
  });
}

void adamw_here(const AdamWArgs& args) {
  const AdamWStep one{.grad_scale = args.grad_scale,
                      .lr = args.lr,
                      .step = args.step,
                      .correction1 = 1.0 - std::pow(args.beta1, static_cast<double>(args.step)),
                      .correction2 = 1.0 - std::pow(args.beta2, static_cast<double>(args.step))};
  const AdamWBetas betas(args);
  const AdamWFactors factors(one, args.decay);
  const WideMoments moments{args.m.data<float>(), args.v.data<float>()};
  for_blocks(args.param.elements(), [&](int64_t, int64_t begin, int64_t end) {
    adamw_span(betas, factors, args.grad.data<float>() + begin, args.param.data<float>() + begin, moments.at(begin),
               end - begin);
  });
}

void adamw_rows_here(const AdamWRowsArgs& args) {
  const int64_t H = args.param.shape()[1], count = args.rows.defined() ? args.rows.elements() : args.param.shape()[0];
  const int32_t steps = static_cast<int32_t>(args.steps.size());
  const int32_t* rows = args.rows.defined() ? args.rows.data<int32_t>() : nullptr;
  int32_t* done = args.done.data<int32_t>();
  const AdamWBetas betas(args);
  std::vector<AdamWFactors> factors;
  for (const AdamWStep& step : args.steps) factors.emplace_back(step, args.decay);
  const WideMoments moments{args.m.data<float>(), args.v.data<float>()};
  const float* grads = args.grad.defined() ? args.grad.data<float>() : nullptr;
  const int32_t without_gradient = grads != nullptr ? steps - 1 : steps;
  thread_team().for_ranges(
      count, std::max<int64_t>(1, kBlockElements / std::max<int64_t>(H, 1)), [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) {
          const int64_t row = rows != nullptr ? rows[r] : r;
          float* param = args.param.data<float>() + row * H;
          if (done[row] < without_gradient)
            adamw_replay(betas,
                         std::span(factors).subspan(static_cast<size_t>(done[row]),
                                                    static_cast<size_t>(without_gradient - done[row])),
                         param, moments.at(row * H), H);
          if (grads != nullptr && done[row] < steps)
            adamw_span(betas, factors.back(), grads + r * H, param, moments.at(row * H), H);
          done[row] = steps;
        }
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(adamw_here);
HWY_EXPORT(adamw_rows_here);

namespace cpu {
void adamw(const AdamWArgs& args) {
  HWY_DYNAMIC_DISPATCH(adamw_here)(args);
}
void adamw_rows(const AdamWRowsArgs& args) {
  HWY_DYNAMIC_DISPATCH(adamw_rows_here)(args);
}
}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
