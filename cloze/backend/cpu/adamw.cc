#include <bit>
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
        root(static_cast<float>(1.0 / std::sqrt(s.correction2))),
        step(s.step) {}
  float scale, shrink, rate, root;
  int64_t step;
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

/// The moments of some elements in a row, as f32.
class WideMoments {
 public:
  WideMoments(const Tensor& m, const Tensor& v, uint32_t, int64_t) : all_m_(m.data<float>()), all_v_(v.data<float>()) {}
  /// What follows is about the elements from `first` on.
  void start(int64_t first) { m_ = all_m_ + first, v_ = all_v_ + first; }
  /// Before store(): the step, and how many elements from there on.
  void draw(int64_t, int64_t, int64_t) {}
  template <class Step>
  HWY_INLINE V32 load_m(int64_t i, Step step) const {
    return step.load(m_ + i);
  }
  template <class Step>
  HWY_INLINE V32 load_v(int64_t i, Step step) const {
    return step.load(v_ + i);
  }
  template <class Step>
  HWY_INLINE void store(V32 m, V32 v, int64_t i, Step step) const {
    step.store(m, m_ + i);
    step.store(v, v_ + i);
  }
  /// Are m and v of these elements +0, all bits? Then without a gradient a step moves the parameter by its decay alone.
  bool zero(int64_t begin, int64_t count) const {
    uint32_t bits = 0;
    for (int64_t i = begin; i < begin + count; ++i)
      bits |= std::bit_cast<uint32_t>(m_[i]) | std::bit_cast<uint32_t>(v_[i]);
    return bits == 0;
  }

 private:
  float *all_m_, *all_v_, *m_ = nullptr, *v_ = nullptr;
};

/// The same as bf16, bit for bit as round16.h rounds.
class HalfMoments {
 public:
  HalfMoments(const Tensor& m, const Tensor& v, uint32_t site, int64_t longest)
      : all_m_(m.data<uint16_t>()),
        all_v_(v.data<uint16_t>()),
        site_(site),
        numbers_({longest / 2 + 128}, DType::kF32) {}
  void start(int64_t first) { m_ = all_m_ + first, v_ = all_v_ + first; }
  void draw(int64_t step, int64_t first, int64_t count) {
    const int64_t block = first / 8;
    uint16_t* numbers = static_cast<uint16_t*>(numbers_.raw());
    fill_random16({.threshold = 0, .site = site_, .key = static_cast<uint64_t>(step)}, block,
                  (first + count + 7) / 8 - block, numbers, RandomStream::kRounding);
    random_ = numbers + first % 8;
  }
  template <class Step>
  HWY_INLINE V32 load_m(int64_t i, Step step) const {
    return wide(load(m_ + i, step));
  }
  template <class Step>
  HWY_INLINE V32 load_v(int64_t i, Step step) const {
    return wide(load(v_ + i, step));
  }
  template <class Step>
  HWY_INLINE void store(V32 m, V32 v, int64_t i, Step step) const {
    const U32 d;
    const auto m_bits = hn::BitCast(d, m);
    const auto odd = hn::And(hn::ShiftRight<16>(m_bits), hn::Set(d, 1u));
    keep(hn::Add(hn::Add(m_bits, hn::Set(d, 0x7FFFu)), odd), m_ + i, step);
    keep(hn::Add(hn::BitCast(d, v), load(random_ + i, WholeStep{})), v_ + i, step);
  }
  bool zero(int64_t begin, int64_t count) const {
    uint32_t bits = 0;
    for (int64_t i = begin; i < begin + count; ++i) bits |= uint32_t{m_[i]} | uint32_t{v_[i]};
    return bits == 0;
  }

 private:
  using U32 = hn::RebindToUnsigned<F32>;
  using U16 = hn::Rebind<uint16_t, F32>;
  static constexpr size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);

  static HWY_INLINE V32 wide(hn::Vec<U32> bits) { return hn::BitCast(F32(), hn::ShiftLeft<16>(bits)); }
  static HWY_INLINE hn::Vec<U32> load(const uint16_t* from, WholeStep) {
    return hn::PromoteTo(U32(), hn::LoadU(U16(), from));
  }
  static HWY_INLINE hn::Vec<U32> load(const uint16_t* from, LastStep step) {
    HWY_ALIGN uint16_t lanes[kMostLanes] = {};
    std::copy_n(from, step.count, lanes);
    return load(lanes, WholeStep{});
  }
  /// Writes the upper halves.
  static HWY_INLINE void keep(hn::Vec<U32> bits, uint16_t* to, WholeStep) {
    hn::StoreU(hn::TruncateTo(U16(), hn::ShiftRight<16>(bits)), U16(), to);
  }
  static HWY_INLINE void keep(hn::Vec<U32> bits, uint16_t* to, LastStep step) {
    HWY_ALIGN uint16_t lanes[kMostLanes];
    keep(bits, lanes, WholeStep{});
    std::copy_n(lanes, step.count, to);
  }

  uint16_t *all_m_, *all_v_;
  uint32_t site_;
  Tensor numbers_;
  uint16_t *m_ = nullptr, *v_ = nullptr;
  const uint16_t* random_ = nullptr;
};

/// A step over the n elements where `moments` was started, with their gradient, or with 0 where grad is null.
template <class Moments>
void adamw_span(const AdamWBetas& betas, const AdamWFactors& factors, const float* grad, float* param,
                const Moments& moments, int64_t n) {
  const auto scale = hn::Set(F32(), factors.scale);
  for_row(n, [&](int64_t i, auto step) HWY_ATTR {
    V32 p = step.load(param + i), m = moments.load_m(i, step), v = moments.load_v(i, step);
    const V32 g = grad != nullptr ? hn::Mul(step.load(grad + i), scale) : hn::Zero(F32());
    adamw_update(betas, factors, g, p, m, v);
    moments.store(m, v, i, step);
    step.store(p, param + i);
  });
}

using Steps = std::span<const AdamWFactors>;

/// What steps without gradient do to n elements whose moments are 0.
void adamw_decay(Steps steps, float* param, int64_t n) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  // Each element's products are a chain: four vectors at a time, or each product would wait for the last.
  for (; n >= 4 * lanes; n -= 4 * lanes, param += 4 * lanes) {
    V32 p0 = hn::LoadU(d, param), p1 = hn::LoadU(d, param + lanes);
    V32 p2 = hn::LoadU(d, param + 2 * lanes), p3 = hn::LoadU(d, param + 3 * lanes);
    for (const AdamWFactors& factors : steps) {
      const V32 shrink = hn::Set(d, factors.shrink);
      p0 = hn::Mul(p0, shrink), p1 = hn::Mul(p1, shrink);
      p2 = hn::Mul(p2, shrink), p3 = hn::Mul(p3, shrink);
    }
    hn::StoreU(p0, d, param), hn::StoreU(p1, d, param + lanes);
    hn::StoreU(p2, d, param + 2 * lanes), hn::StoreU(p3, d, param + 3 * lanes);
  }
  for_row(n, [&](int64_t i, auto step) HWY_ATTR {
    V32 p = step.load(param + i);
    for (const AdamWFactors& factors : steps) p = hn::Mul(p, hn::Set(d, factors.shrink));
    step.store(p, param + i);
  });
}

/// Steps without gradient over elements `first` to first + n: each vector is loaded once for all of them.
void adamw_replay(const AdamWBetas& betas, Steps steps, float* param, WideMoments& moments, int64_t first, int64_t n) {
  const int64_t group = 4 * static_cast<int64_t>(hn::Lanes(F32()));
  for (int64_t begin = 0; begin < n; begin += group) {
    const int64_t count = std::min(group, n - begin);
    float* p_here = param + begin;
    moments.start(first + begin);
    if (betas.eps > 0 && moments.zero(0, count)) {
      adamw_decay(steps, p_here, count);
      continue;
    }
    for_row(count, [&](int64_t i, auto step) HWY_ATTR {
      V32 p = step.load(p_here + i), m = moments.load_m(i, step), v = moments.load_v(i, step);
      for (const AdamWFactors& factors : steps) adamw_update(betas, factors, hn::Zero(F32()), p, m, v);
      moments.store(m, v, i, step);
      step.store(p, p_here + i);
    });
  }
}
/// Here each step rounds with numbers of its own, so the steps come one after the other.
void adamw_replay(const AdamWBetas& betas, Steps steps, float* param, HalfMoments& moments, int64_t first, int64_t n) {
  moments.start(first);
  for (; !steps.empty(); steps = steps.subspan(1)) {
    if (betas.eps > 0 && moments.zero(0, n)) return adamw_decay(steps, param, n);
    moments.draw(steps.front().step, first, n);
    adamw_span(betas, steps.front(), nullptr, param, moments, n);
  }
}

template <class Moments>
void adamw_dense(const AdamWArgs& args) {
  const AdamWStep one{.grad_scale = args.grad_scale,
                      .lr = args.lr,
                      .step = args.step,
                      .correction1 = 1.0 - std::pow(args.beta1, static_cast<double>(args.step)),
                      .correction2 = 1.0 - std::pow(args.beta2, static_cast<double>(args.step))};
  const AdamWBetas betas(args);
  const AdamWFactors factors(one, args.decay);
  for_blocks(args.param.elements(), [&](int64_t, int64_t begin, int64_t end) {
    Moments moments(args.m, args.v, args.site, kBlockElements);
    moments.start(begin);
    moments.draw(args.step, begin, end - begin);
    adamw_span(betas, factors, args.grad.data<float>() + begin, args.param.data<float>() + begin, moments, end - begin);
  });
}

template <class Moments>
void adamw_of_rows(const AdamWRowsArgs& args) {
  const int64_t H = args.param.shape()[1], count = args.rows.defined() ? args.rows.elements() : args.param.shape()[0];
  const int32_t* rows = args.rows.defined() ? args.rows.data<int32_t>() : nullptr;
  const float* grads = args.grad.defined() ? args.grad.data<float>() : nullptr;
  const int32_t steps = static_cast<int32_t>(args.steps.size()),
                without_gradient = grads != nullptr ? steps - 1 : steps;
  int32_t* done = args.done.data<int32_t>();
  const AdamWBetas betas(args);
  std::vector<AdamWFactors> factors;
  for (const AdamWStep& step : args.steps) factors.emplace_back(step, args.decay);
  const auto serve = [&](int64_t first, int64_t last) {
    Moments moments(args.m, args.v, args.site, H);
    for (int64_t r = first; r < last; ++r) {
      const int64_t row = rows != nullptr ? rows[r] : r;
      float* param = args.param.data<float>() + row * H;
      if (done[row] < without_gradient) {
        const Steps owed = Steps(factors).first(static_cast<size_t>(without_gradient));
        adamw_replay(betas, owed.subspan(static_cast<size_t>(done[row])), param, moments, row * H, H);
      }
      if (grads != nullptr && done[row] < steps) {
        moments.start(row * H);
        moments.draw(factors.back().step, row * H, H);
        adamw_span(betas, factors.back(), grads + r * H, param, moments, H);
      }
      done[row] = steps;
    }
  };
  thread_team().for_ranges(count, std::max<int64_t>(1, kBlockElements / std::max<int64_t>(H, 1)), serve);
}

void adamw_here(const AdamWArgs& args) {
  args.m.dtype() == DType::kBF16 ? adamw_dense<HalfMoments>(args) : adamw_dense<WideMoments>(args);
}
void adamw_rows_here(const AdamWRowsArgs& args) {
  args.m.dtype() == DType::kBF16 ? adamw_of_rows<HalfMoments>(args) : adamw_of_rows<WideMoments>(args);
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
