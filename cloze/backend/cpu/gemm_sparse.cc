#include "cloze/backend/cpu/gemm_sparse.h"

#include <algorithm>

#include "cloze/backend/cpu/gemm.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/gemm_sparse.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/microkernel-inl.h"
// clang-format on

#ifndef CLOZE_SPARSE_PRODUCT
#define CLOZE_SPARSE_PRODUCT
namespace cloze::cpu {
/// One product, its operands checked. `tokens` are x in panels, as pack_transposed() makes them.
struct SparseProduct {
  const float* tokens;
  int64_t m, depth, n;
  const int64_t* starts;
  const int32_t* places;
  const float* values;
  const float* bias;
  Activation activation;
  float* y;
};
}  // namespace cloze::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

/// The sums of output j for the tokens of kPanels panels that follow each other: kPanels * panel_width() numbers.
template <int kPanels>
HWY_INLINE void sparse_row(const cpu::SparseProduct& p, int64_t j, const float* HWY_RESTRICT tokens,
                           float* HWY_RESTRICT out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = 2 * lanes, next = width * p.depth;
  using V = hn::Vec<F32>;
  V acc[2 * kPanels];
  HWY_UNROLL(4)
  for (int i = 0; i < 2 * kPanels; ++i) acc[i] = hn::Zero(d);
  for (int64_t e = p.starts[j]; e < p.starts[j + 1]; ++e) {
    const V w = hn::Set(d, p.values[e]);
    const float* at = tokens + p.places[e] * width;
    HWY_UNROLL(2)
    for (int i = 0; i < kPanels; ++i) {
      acc[2 * i] = hn::MulAdd(hn::Load(d, at + i * next), w, acc[2 * i]);
      acc[2 * i + 1] = hn::MulAdd(hn::Load(d, at + i * next + lanes), w, acc[2 * i + 1]);
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < 2 * kPanels; ++i) hn::Store(acc[i], d, out + i * lanes);
}

/// Outputs [column, column + panel_width()) of the tokens [row, row + kPanels * panel_width()).
template <int kPanels>
HWY_INLINE void sparse_block(const cpu::SparseProduct& p, int64_t row, int64_t column) {
  constexpr int64_t kMostWidth = 2 * HWY_MAX_BYTES / sizeof(float);
  HWY_ALIGN float sums[kMostWidth * kPanels * kMostWidth];
  HWY_ALIGN float turned[kPanels * kMostWidth * kMostWidth];
  const int64_t width = panel_width(), stride = kPanels * width, columns = std::min(width, p.n - column);
  const float* tokens = p.tokens + row * p.depth;  // whole panels stand before
  for (int64_t j = 0; j < columns; ++j) sparse_row<kPanels>(p, column + j, tokens, sums + j * stride);
  std::fill(sums + columns * stride, sums + width * stride, 0.0f);
  if (width % 4 == 0) {
    for (int64_t j = 0; j < width; j += 4)
      for (int64_t t = 0; t < stride; t += 4) transpose4(sums + j * stride + t, stride, turned + t * width + j, width);
  } else {
    for (int64_t j = 0; j < width; ++j)
      for (int64_t t = 0; t < stride; ++t) turned[t * width + j] = sums[j * stride + t];
  }
  const Epilogue epilogue{p.bias, nullptr, p.activation, false};
  for (int64_t t = 0; t < std::min(stride, p.m - row); ++t)
    store_row(turned + t * width, columns, column, p.y + (row + t) * p.n + column, nullptr, epilogue);
}

void multiply_sparse_here(const cpu::SparseProduct& p) {
  constexpr int64_t kPanels = 2;
  const int64_t width = panel_width(), tall = kPanels * width;
  const int64_t blocks = (p.m + tall - 1) / tall, groups = (p.n + width - 1) / width;
  const int64_t work = std::max<int64_t>(1, p.starts[p.n] / std::max<int64_t>(1, groups) * tall);
  constexpr int64_t kWorthAThread = 1 << 16;
  thread_team().for_ranges(blocks * groups, std::max<int64_t>(1, kWorthAThread / work),
                           [&](int64_t begin, int64_t end) {
                             for (int64_t task = begin; task < end; ++task) {
                               const int64_t row = task / groups * tall, column = task % groups * width;
                               if (p.m - row > width)
                                 sparse_block<kPanels>(p, row, column);
                               else
                                 sparse_block<1>(p, row, column);
                             }
                           });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(multiply_sparse_here);

namespace cpu {

void multiply_sparse(const float* x, int64_t m, const SparseWeight& weight, const float* bias, Activation activation,
                     float* y) {
  if (m == 0) return;
  const PackedMatrix tokens = pack_transposed(x, m, weight.depth);
  HWY_DYNAMIC_DISPATCH(multiply_sparse_here)
  ({.tokens = tokens.panels.data<float>(),
    .m = m,
    .depth = weight.depth,
    .n = weight.columns,
    .starts = weight.starts.data<int64_t>(),
    .places = weight.places.data<int32_t>(),
    .values = weight.values.data<float>(),
    .bias = bias,
    .activation = activation,
    .y = y});
}

}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
