#include "cloze/backend/cpu/gemm.h"

#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/gemm.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/microkernel-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

int64_t panel_width_here() {
  return panel_width();
}

void pack_here(const float* source, int64_t depth, int64_t n, float* packed, cpu::Packing packing) {
  const int64_t panels = (n + panel_width() - 1) / panel_width();
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / (panel_width() * std::max<int64_t>(depth, 1)));
  thread_team().for_ranges(panels, grain, [&](int64_t first, int64_t last) {
    if (packing == cpu::Packing::kTransposed)
      pack_columns(source, depth, depth, n, first, last, packed);
    else
      pack_rows(source, n, depth, n, first, last, packed);
  });
}

void multiply_here(const cpu::Product& p) {
  const int64_t panels = (p.n + panel_width() - 1) / panel_width();
  const Epilogue epilogue{p.bias, p.pre, p.activation, false};
  const StridedMatrix a{p.a, p.a_row_stride, p.a_k_stride};
  const int64_t flops = p.m * p.n * std::max<int64_t>(p.depth, 1);
  constexpr int64_t kWorthAThread = 1 << 16;
  const int64_t parts = std::min<int64_t>(thread_team().size(), flops / kWorthAThread);
  if (parts <= 1) return multiply(p.m, p.depth, p.n, a, p.panels, 0, panels, p.c, p.n, epilogue);
  const int64_t tiles = (p.m + kTileRows - 1) / kTileRows;
  if (tiles >= 8 * parts || tiles >= panels) {
    thread_team().for_ranges(tiles, std::max<int64_t>(1, tiles / parts), [&](int64_t first, int64_t last) {
      const int64_t row = first * kTileRows, rows = std::min(last * kTileRows, p.m) - row;
      Epilogue part = epilogue;
      if (part.pre != nullptr) part.pre += row * p.n;
      multiply(rows, p.depth, p.n, {a.data + row * a.row_stride, a.row_stride, a.k_stride}, p.panels, 0, panels,
               p.c + row * p.n, p.n, part);
    });
  } else {
    thread_team().for_ranges(panels, std::max<int64_t>(1, panels / parts), [&](int64_t first, int64_t last) {
      multiply(p.m, p.depth, p.n, a, p.panels, first, last, p.c, p.n, epilogue);
    });
  }
}

void multiply_transposed_here(const cpu::Product& p) {
  // A^T is read a column at a time: copied tile by tile, so that its rows do not fight for cache sets.
  const int64_t panels = (p.n + panel_width() - 1) / panel_width();
  const int64_t tiles = (p.m + kTileRows - 1) / kTileRows;
  constexpr int64_t kGroup = 8;  // tiles copied together
  thread_team().for_ranges(tiles, 1, [&](int64_t first, int64_t last) {
    const Tensor copy({kGroup * kTileRows * std::max<int64_t>(p.depth, 1)}, DType::kF32);
    for (int64_t tile = first; tile < last; tile += kGroup) {
      const int64_t begin = tile * kTileRows, end = std::min(p.m, std::min(tile + kGroup, last) * kTileRows);
      float* to = copy.data<float>();
      const int64_t width = end - begin;
      for (int64_t k = 0; k < p.depth; ++k)
        std::memcpy(to + k * width, p.a + k * p.m + begin, static_cast<size_t>(width) * sizeof(float));
      multiply(width, p.depth, p.n, {to, 1, width}, p.panels, 0, panels, p.c + begin * p.n, p.n, Epilogue{});
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(panel_width_here);
HWY_EXPORT(pack_here);
HWY_EXPORT(multiply_here);
HWY_EXPORT(multiply_transposed_here);

namespace cpu {
namespace {

PackedMatrix pack(const float* source, int64_t depth, int64_t n, Packing packing) {
  PackedMatrix b;
  b.depth = depth;
  b.columns = n;
  const int64_t width = HWY_DYNAMIC_DISPATCH(panel_width_here)();
  b.panels = Tensor({(n + width - 1) / width * width * depth}, DType::kF32);
  HWY_DYNAMIC_DISPATCH(pack_here)(source, depth, n, b.panels.data<float>(), packing);
  return b;
}

}  // namespace

PackedMatrix pack_transposed(const float* weight, int64_t n, int64_t k) {
  return pack(weight, k, n, Packing::kTransposed);
}
PackedMatrix pack_plain(const float* matrix, int64_t k, int64_t n) {
  return pack(matrix, k, n, Packing::kPlain);
}

void multiply(const float* x, int64_t m, const PackedMatrix& b, const float* bias, Activation activation, float* pre,
              float* y) {
  HWY_DYNAMIC_DISPATCH(multiply_here)
  ({.a = x,
    .a_row_stride = b.depth,
    .a_k_stride = 1,
    .m = m,
    .depth = b.depth,
    .n = b.columns,
    .panels = b.panels.data<float>(),
    .bias = bias,
    .activation = activation,
    .pre = pre,
    .c = y});
}

void multiply_transposed(const float* a, int64_t m, const PackedMatrix& b, float* c) {
  HWY_DYNAMIC_DISPATCH(multiply_transposed_here)
  ({.a = a,
    .a_row_stride = 1,
    .a_k_stride = m,
    .m = m,
    .depth = b.depth,
    .n = b.columns,
    .panels = b.panels.data<float>(),
    .bias = nullptr,
    .activation = Activation::kNone,
    .pre = nullptr,
    .c = c});
}

}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
