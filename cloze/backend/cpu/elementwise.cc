#include <numeric>
#include <vector>

#include "cloze/backend/cpu/kernels.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/elementwise.cc"
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

void dropout_here(const DropoutArgs& args) {
  const float* x = args.x.data<float>();
  float* y = args.y.data<float>();
  for_blocks(args.x.elements(), [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    DropoutRow random(args.dropout, kBlockElements);
    random.start(begin, end - begin);
    for_row(end - begin, [&](int64_t i, auto step) HWY_ATTR {
      const auto v = step.load(x + begin + i);
      step.store(random.active() ? hn::Mul(v, random.factor(i)) : v, y + begin + i);
    });
  });
}

void add_into_here(const AddIntoArgs& args) {
  const float* x = args.x.data<float>();
  float* y = args.y.data<float>();
  for_blocks(args.x.elements(), [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    for_row(end - begin, [&](int64_t i, auto step) HWY_ATTR {
      step.store(hn::Add(step.load(y + begin + i), step.load(x + begin + i)), y + begin + i);
    });
  });
}

void scale_here(const ScaleArgs& args) {
  float* x = args.x.data<float>();
  const auto factor = hn::Set(F32(), static_cast<float>(args.factor));
  for_blocks(args.x.elements(), [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    for_row(end - begin, [&](int64_t i, auto step)
                             HWY_ATTR { step.store(hn::Mul(step.load(x + begin + i), factor), x + begin + i); });
  });
}

double sum_squares_here(const Tensor& x) {
  const float* data = x.data<float>();
  const int64_t n = x.elements();
  std::vector<double> sums(static_cast<size_t>((n + kBlockElements - 1) / kBlockElements));
  for_blocks(n, [&](int64_t block, int64_t begin, int64_t end) HWY_ATTR {
    const hn::ScalableTag<double> d;
    const hn::Rebind<float, decltype(d)> half;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    auto total = hn::Zero(d);
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto v = hn::PromoteTo(d, hn::LoadU(half, data + i));
      total = hn::MulAdd(v, v, total);
    }
    double sum = hn::GetLane(hn::SumOfLanes(d, total));
    for (; i < end; ++i) sum += static_cast<double>(data[i]) * data[i];
    sums[static_cast<size_t>(block)] = sum;
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void activation_backward_here(const float* pre, const float* dy, Activation activation, int64_t n, float* dpre) {
  for_blocks(n, [&](int64_t, int64_t begin, int64_t end) HWY_ATTR {
    for_row(end - begin, [&](int64_t i, auto step) HWY_ATTR {
      const auto slope = activation_slope(F32(), activation, step.load(pre + begin + i));
      step.store(hn::Mul(step.load(dy + begin + i), slope), dpre + begin + i);
    });
  });
}

void column_sums_here(const float* x, int64_t rows, int64_t columns, float* sums) {
  // Blocks of a fixed count of rows, then the blocks in their order, by columns.
  constexpr int64_t kBlock = 64;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  const auto add_rows = [columns](const float* from, int64_t count, float* to) HWY_ATTR {
    std::fill_n(to, columns, 0.0f);
    for (int64_t r = 0; r < count; ++r, from += columns)
      for_row(columns, [&](int64_t at, auto step)
                           HWY_ATTR { step.store(hn::Add(step.load(to + at), step.load(from + at)), to + at); });
  };
  if (blocks <= 1) return add_rows(x, rows, sums);
  const Tensor partial({blocks * columns}, DType::kF32);
  thread_team().for_ranges(blocks, std::max<int64_t>(1, (1 << 13) / (kBlock * std::max<int64_t>(columns, 1))),
                           [&](int64_t first, int64_t last) {
                             for (int64_t b = first; b < last; ++b)
                               add_rows(x + b * kBlock * columns, std::min(kBlock, rows - b * kBlock),
                                        partial.data<float>() + b * columns);
                           });
  add_rows(partial.data<float>(), blocks, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(dropout_here);
HWY_EXPORT(add_into_here);
HWY_EXPORT(scale_here);
HWY_EXPORT(sum_squares_here);
HWY_EXPORT(activation_backward_here);
HWY_EXPORT(column_sums_here);

namespace cpu {
void dropout(const DropoutArgs& args) {
  HWY_DYNAMIC_DISPATCH(dropout_here)(args);
}
void add_into(const AddIntoArgs& args) {
  HWY_DYNAMIC_DISPATCH(add_into_here)(args);
}
void scale(const ScaleArgs& args) {
  HWY_DYNAMIC_DISPATCH(scale_here)(args);
}
double sum_squares(const Tensor& x) {
  return HWY_DYNAMIC_DISPATCH(sum_squares_here)(x);
}
void activation_backward(const float* pre, const float* dy, Activation activation, int64_t n, float* dpre) {
  HWY_DYNAMIC_DISPATCH(activation_backward_here)(pre, dy, activation, n, dpre);
}
void column_sums(const float* x, int64_t rows, int64_t columns, float* sums) {
  HWY_DYNAMIC_DISPATCH(column_sums_here)(x, rows, columns, sums);
}
}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
