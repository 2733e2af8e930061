#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "cloze/backend/cpu/kernels.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/cross_entropy.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

/// C may be a vocabulary: lanes add up this many elements in f32, blocks in f64.
constexpr int64_t kSumBlock = 256;
/// Elements that are worth a thread.
constexpr int64_t kGrainElements = 1 << 13;

/// The largest of a row; NaN if one of them is, which Exp and Max would pass over.
float row_max(const float* x, int64_t n) {
  const F32 d;
  auto max = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto is_nan = hn::MaskFromVec(hn::Zero(d));
  for_row(n, [&](int64_t at, auto step) HWY_ATTR {
    const auto v = step.keep_or(step.load(x + at), max);
    max = hn::Max(v, max);
    is_nan = hn::Or(is_nan, hn::IsNaN(v));
  });
  if (!hn::AllFalse(d, is_nan)) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

/// y = exp(x - max), not stored if y is null. Returns the sum.
double exp_row(const float* x, int64_t n, float max, float* y) {
  const F32 d;
  const auto max_v = hn::Set(d, max);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    auto sum = hn::Zero(d);
    for_row(std::min(kSumBlock, n - begin), [&](int64_t at, auto step) HWY_ATTR {
      const auto e = hn::Exp(d, hn::Sub(step.load(x + begin + at), max_v));
      if (y != nullptr) step.store(e, y + begin + at);
      sum = hn::Add(sum, step.keep(e));
    });
    total += row_sum(sum);
  }
  return total;
}

/// Sum of weight[c] (x[c] - max); weight null: all ones.
double weighted_distances(const float* x, const float* weight, int64_t n, float max) {
  const F32 d;
  const auto max_v = hn::Set(d, max), one = hn::Set(d, 1.0f);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    auto sum = hn::Zero(d);
    for_row(std::min(kSumBlock, n - begin), [&](int64_t at, auto step) HWY_ATTR {
      const auto distance = step.keep(hn::Sub(step.load(x + begin + at), max_v));
      sum = hn::MulAdd(distance, weight != nullptr ? step.load(weight + begin + at) : one, sum);
    });
    total += row_sum(sum);
  }
  return total;
}

/// y = factor y - offset weight; weight null: all ones.
void scale_row(float* y, int64_t n, float factor, float offset, const float* weight) {
  const F32 d;
  const auto factor_v = hn::Set(d, factor), offset_v = hn::Set(d, offset);
  if (offset == 0)
    return for_row(n,
                   [&](int64_t at, auto step) HWY_ATTR { step.store(hn::Mul(step.load(y + at), factor_v), y + at); });
  for_row(n, [&](int64_t at, auto step) HWY_ATTR {
    const auto less = weight != nullptr ? hn::Mul(offset_v, step.load(weight + at)) : offset_v;
    step.store(hn::MulSub(step.load(y + at), factor_v, less), y + at);
  });
}

/// See ref/cross_entropy.cc for the formulas; a row of the loss and of dlogits is
///   -v/W [ (1-e) w_t logp[t] + e/C sum_c weight_c logp[c] ]
///   v/W [ ((1-e) w_t + e/C sum_j weight_j) p_c - e/C weight_c - (c == t) (1-e) w_t ]
class CrossEntropyRows {
 public:
  explicit CrossEntropyRows(const CrossEntropyArgs& args)
      : C_(args.logits.shape()[1]),
        logits_(args.logits.data<float>()),
        class_weight_(args.class_weight.defined() ? args.class_weight.data<float>() : nullptr),
        row_weight_(args.row_weight.defined() ? args.row_weight.data<float>() : nullptr),
        targets_(args.targets.data<int32_t>()),
        dlogits_(args.dlogits.defined() ? args.dlogits.data<float>() : nullptr),
        sharp_(1 - args.label_smoothing),
        smooth_(args.label_smoothing / static_cast<double>(C_)) {
    for (int64_t r = 0; r < args.logits.shape()[0]; ++r)
      if (targets_[r] >= 0) total_ += of_row(r) * weight(targets_[r]);
    if (smooth_ != 0)
      for (int64_t c = 0; c < C_; ++c) all_classes_ += weight(c);
  }

  /// The row's part of the loss; its row of dlogits is written.
  double loss_of(int64_t r) const {
    const int32_t target = targets_[r];
    float* dlogits = dlogits_ != nullptr ? dlogits_ + r * C_ : nullptr;
    if (target < 0 || !(total_ > 0)) {
      if (dlogits != nullptr) std::fill_n(dlogits, C_, 0.0f);
      return 0;
    }
    const float* x = logits_ + r * C_;
    const float max = row_max(x, C_);
    const double sum = exp_row(x, C_, max, dlogits), log_sum = std::log(sum);
    const double share = of_row(r) / total_, sharp = share * sharp_ * weight(target), smooth = share * smooth_;
    double loss = -sharp * (double{x[target]} - max - log_sum);
    if (smooth != 0) loss -= smooth * (weighted_distances(x, class_weight_, C_, max) - all_classes_ * log_sum);
    if (dlogits != nullptr) {
      scale_row(dlogits, C_, static_cast<float>((sharp + smooth * all_classes_) / sum), static_cast<float>(smooth),
                class_weight_);
      dlogits[target] -= static_cast<float>(sharp);
    }
    return loss;
  }

 private:
  double weight(int64_t c) const { return class_weight_ != nullptr ? class_weight_[c] : 1.0; }
  double of_row(int64_t r) const { return row_weight_ != nullptr ? row_weight_[r] : 1.0; }

  int64_t C_;
  const float *logits_, *class_weight_, *row_weight_;
  const int32_t* targets_;
  float* dlogits_;
  double sharp_, smooth_, total_ = 0, all_classes_ = 0;
};

/// Rows are split over the team; each is summed up by itself, so the bits do not depend on the threads.
template <class Work>
void for_rows(int64_t R, int64_t C, const Work& work) {
  thread_team().for_ranges(R, std::max<int64_t>(1, kGrainElements / std::max<int64_t>(C, 1)),
                           [&](int64_t begin, int64_t end) {
                             for (int64_t r = begin; r < end; ++r) work(r);
                           });
}

void cross_entropy_here(const CrossEntropyArgs& args) {
  const int64_t R = args.logits.shape()[0];
  const CrossEntropyRows rows(args);
  std::vector<double> losses(static_cast<size_t>(R));
  for_rows(R, args.logits.shape()[1], [&](int64_t r) { losses[static_cast<size_t>(r)] = rows.loss_of(r); });
  *args.loss.data<float>() = static_cast<float>(std::accumulate(losses.begin(), losses.end(), 0.0));
}

void softmax_here(const SoftmaxArgs& args) {
  const int64_t R = args.x.shape()[0], C = args.x.shape()[1];
  if (C == 0) return;
  for_rows(R, C, [&](int64_t r) {
    const float* x = args.x.data<float>() + r * C;
    float* y = args.y.data<float>() + r * C;
    const double sum = exp_row(x, C, row_max(x, C), y);
    scale_row(y, C, static_cast<float>(1 / sum), 0, nullptr);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(cross_entropy_here);
HWY_EXPORT(softmax_here);

namespace cpu {
void cross_entropy(const CrossEntropyArgs& args) {
  HWY_DYNAMIC_DISPATCH(cross_entropy_here)(args);
}
void softmax(const SoftmaxArgs& args) {
  HWY_DYNAMIC_DISPATCH(softmax_here)(args);
}
}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
