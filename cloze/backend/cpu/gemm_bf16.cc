#include "cloze/backend/cpu/gemm_bf16.h"

#include <algorithm>

#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/gemm_bf16.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/microkernel-inl.h"
#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

using U32 = hn::ScalableTag<uint32_t>;

/// bf16 in the upper half of each lane (rule: bf16.h); the lower half is not cleared.
HWY_INLINE hn::Vec<U32> rounded_bits(hn::Vec<F32> v) {
  const U32 d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const auto number = hn::Add(hn::Add(bits, hn::Set(d, 0x7FFF)), odd);
  return hn::IfThenElse(hn::RebindMask(d, hn::Eq(v, v)), number, hn::Or(bits, hn::Set(d, 0x400000)));
}

void round_here(const float* from, int64_t n, float* to) {
  thread_team().for_ranges(n, 1 << 14, [&](int64_t begin, int64_t end) {
    for_row(end - begin, [&](int64_t at, auto step) HWY_ATTR {
      const auto bits = hn::And(rounded_bits(step.load(from + begin + at)), hn::Set(U32(), 0xFFFF0000));
      step.store(hn::BitCast(F32(), bits), to + begin + at);
    });
  });
}

#if HWY_TARGET <= HWY_AVX3

bool has_bf16_here() {
  return __builtin_cpu_supports("avx512bf16") != 0;
}

/// For each lane, the bf16 of two inputs: that of the even k in the lower half.
HWY_INLINE hn::Vec<U32> pair_of(hn::Vec<F32> even, hn::Vec<F32> odd) {
  return hn::Or(hn::ShiftRight<16>(rounded_bits(even)), hn::And(rounded_bits(odd), hn::Set(U32(), 0xFFFF0000)));
}

/// sum + both products of each lane.
HWY_INLINE hn::Vec<F32> dot2(hn::Vec<F32> sum, hn::Vec<U32> a, hn::Vec<U32> b) {
  // As assembly, since Highway 1.0.3 compiles this target without the option that the intrinsic asks for.
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(b.raw), "v"(a.raw));
  return sum;
}

/// A, as pairs of inputs: tile t's (row r, pair k) is data[t tile_stride + r row_stride + k k_stride].
struct PairRows {
  const uint32_t* data;
  int64_t tile_stride, row_stride, k_stride;
};

/// Like `tile` of microkernel-inl.h, over pairs.
template <int kRows>
HWY_INLINE void pair_tile(int64_t pairs, const uint32_t* HWY_RESTRICT a, int64_t row_stride, int64_t k_stride,
                          const uint32_t* HWY_RESTRICT panel, float* HWY_RESTRICT out) {
  const F32 d;
  const U32 du;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<F32> acc0[kRows], acc1[kRows];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) acc0[r] = acc1[r] = hn::Zero(d);
  const uint32_t* rows[(kRows + 3) / 4];
  for (int g = 0; g < (kRows + 3) / 4; ++g) rows[g] = a + 4 * g * row_stride;
  const int64_t stride3 = 3 * row_stride;
  for (int64_t k = 0; k < pairs; ++k) {
    const auto b0 = hn::Load(du, panel), b1 = hn::Load(du, panel + lanes);
    panel += 2 * lanes;
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      const uint32_t* base = rows[r / 4];
      const auto broadcast = hn::Set(du, r % 4 == 0   ? base[0]
                                         : r % 4 == 1 ? base[row_stride]
                                         : r % 4 == 2 ? base[2 * row_stride]
                                                      : base[stride3]);
      acc0[r] = dot2(acc0[r], broadcast, b0);
      acc1[r] = dot2(acc1[r], broadcast, b1);
    }
    HWY_UNROLL(12)
    for (int g = 0; g < (kRows + 3) / 4; ++g) rows[g] += k_stride;
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    hn::Store(acc0[r], d, out + 2 * lanes * r);
    hn::Store(acc1[r], d, out + 2 * lanes * r + lanes);
  }
}

/// The rows of a smaller tile: four by four, then one by one.
HWY_INLINE void any_pair_tile(int64_t rows, int64_t pairs, const uint32_t* a, int64_t row_stride, int64_t k_stride,
                              const uint32_t* panel, float* out) {
  int64_t done = 0;
  for (; rows - done >= 4; done += 4)
    pair_tile<4>(pairs, a + done * row_stride, row_stride, k_stride, panel, out + done * panel_width());
  for (; done < rows; ++done)
    pair_tile<1>(pairs, a + done * row_stride, row_stride, k_stride, panel, out + done * panel_width());
}

/// B in panels of two vectors of columns, as pairs of k: for each pair in turn, one of each column. Zero-padded.
struct PairPanels {
  PairPanels(int64_t k, int64_t n)
      : pairs((k + 1) / 2),
        columns(n),
        count((n + panel_width() - 1) / panel_width()),
        values({count * panel_width() * pairs}, DType::kI32) {}
  uint32_t* panel(int64_t p) const {
    return reinterpret_cast<uint32_t*>(values.data<int32_t>()) + p * panel_width() * pairs;
  }
  /// Panels that are worth a thread to fill.
  int64_t grain() const { return std::max<int64_t>(1, (1 << 15) / (panel_width() * std::max<int64_t>(pairs, 1))); }

  int64_t pairs, columns, count;
  Tensor values;
};

/// C[rows of the tiles, columns of panels first to last) from `pairs` pairs of each panel, the first being first_pair.
void multiply_pairs(int64_t m, const PairRows& a, const PairPanels& b, int64_t first, int64_t last, int64_t first_pair,
                    int64_t pairs, float* c, const Epilogue& epilogue) {
  const int64_t width = panel_width();
  HWY_ALIGN float sums[kTileRows * 2 * HWY_MAX_BYTES / sizeof(float)];
  for (int64_t p = first; p < last; ++p) {
    const uint32_t* panel = b.panel(p) + first_pair * width;
    const int64_t column = p * width, columns = std::min(width, b.columns - column);
    for (int64_t row = 0; row < m; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, m - row);
      const uint32_t* tile_of_a = a.data + row / kTileRows * a.tile_stride;
      if (rows == kTileRows)
        pair_tile<kTileRows>(pairs, tile_of_a, a.row_stride, a.k_stride, panel, sums);
      else
        any_pair_tile(rows, pairs, tile_of_a, a.row_stride, a.k_stride, panel, sums);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = (row + r) * b.columns + column;
        store_row(sums + r * width, columns, column, c + at, epilogue.pre == nullptr ? nullptr : epilogue.pre + at,
                  epilogue);
      }
    }
  }
}

/// Room for rows of `depth` numbers as pairs: whole vectors, and odd in cache lines lest rows fight for cache sets.
int64_t pair_stride(int64_t depth) {
  return ((depth + 31) / 32 | 1) * 16;
}

void round_rows(const float* from, int64_t rows, int64_t depth, uint32_t* to) {
  const hn::Rebind<uint16_t, F32> halves;
  const hn::ScalableTag<int32_t> di;
  for (int64_t r = 0; r < rows; ++r, from += depth, to += pair_stride(depth)) {
    uint16_t* out = reinterpret_cast<uint16_t*>(to);
    for_row(depth, [&](int64_t at, auto step) HWY_ATTR {
      const auto upper = hn::BitCast(di, hn::ShiftRight<16>(rounded_bits(step.load(from + at))));
      hn::StoreU(hn::DemoteTo(halves, upper), halves, out + at);
    });
  }
}

uint32_t* words(const Tensor& tensor) {
  return reinterpret_cast<uint32_t*>(tensor.data<int32_t>());
}

/// C[begin:end, columns of panels first to last) = A B, A's rows [m,depth] rounded block by block.
void multiply_rows(const float* a, int64_t begin, int64_t end, int64_t depth, const PairPanels& b, int64_t first,
                   int64_t last, float* c, const Epilogue& epilogue) {
  constexpr int64_t kBlockBytes = 384 << 10;  // of rows stay in the second-level cache while all panels pass
  const int64_t stride = pair_stride(depth);
  const int64_t block = std::max<int64_t>(kBlockBytes / (4 * stride) / kTileRows, 4) * kTileRows;
  const Tensor copy({std::min(block, end - begin) * stride}, DType::kI32);
  for (int64_t from = begin; from < end; from += block) {
    const int64_t rows = std::min(block, end - from);
    round_rows(a + from * depth, rows, depth, words(copy));
    Epilogue part = epilogue;
    if (part.pre != nullptr) part.pre += from * b.columns;
    multiply_pairs(rows, {words(copy), kTileRows * stride, stride, 1}, b, first, last, 0, b.pairs, c + from * b.columns,
                   part);
  }
}

void multiply_on_threads(const float* a, int64_t m, int64_t depth, const PairPanels& b, float* c,
                         const Epilogue& epilogue) {
  constexpr int64_t kWorthAThread = 1 << 17;
  const int64_t work = m * b.columns * std::max<int64_t>(depth, 1);
  const int64_t parts = std::min<int64_t>(thread_team().size(), work / kWorthAThread);
  if (parts <= 1) return multiply_rows(a, 0, m, depth, b, 0, b.count, c, epilogue);
  const int64_t tiles = (m + kTileRows - 1) / kTileRows;
  if (tiles >= 8 * parts || tiles >= b.count)
    thread_team().for_ranges(tiles, std::max<int64_t>(1, tiles / parts), [&](int64_t first, int64_t last) {
      multiply_rows(a, first * kTileRows, std::min(last * kTileRows, m), depth, b, 0, b.count, c, epilogue);
    });
  else
    thread_team().for_ranges(b.count, std::max<int64_t>(1, b.count / parts), [&](int64_t first, int64_t last) {
      multiply_rows(a, 0, m, depth, b, first, last, c, epilogue);
    });
}

/// B(k, column) = source[column depth + k]: rows are rounded, then pairs are transposed as if they were floats.
void pack_pairs_transposed(const float* source, int64_t depth, const PairPanels& b) {
  const int64_t width = panel_width(), stride = pair_stride(depth);
  thread_team().for_ranges(b.count, b.grain(), [&](int64_t first, int64_t last) {
    const Tensor rows = Tensor::zeros({width * stride}, DType::kI32);  // behind an odd depth stands 0
    for (int64_t p = first; p < last; ++p) {
      const int64_t columns = std::min(width, b.columns - p * width);
      round_rows(source + p * width * depth, columns, depth, words(rows));
      pack_columns(reinterpret_cast<const float*>(rows.raw()), stride, b.pairs, columns, 0, 1,
                   reinterpret_cast<float*>(b.panel(p)));
    }
  });
}

/// B(k, column) = source[k columns + column].
void pack_pairs_plain(const float* source, int64_t depth, const PairPanels& b) {
  const F32 d;
  const U32 du;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = b.columns;
  thread_team().for_ranges(b.count, b.grain(), [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      uint32_t* to = b.panel(p);
      for (int64_t k = 0; k < depth; k += 2) {
        for (int64_t half = 0; half < 2; ++half, to += lanes) {
          const int64_t column = p * 2 * lanes + half * lanes, count = std::clamp<int64_t>(n - column, 0, lanes);
          const float* from = source + k * n + std::min(column, n);
          const auto load = [&](const float* at)
                                HWY_ATTR { return count == lanes ? hn::LoadU(d, at) : load_first(at, count); };
          hn::Store(pair_of(load(from), k + 1 < depth ? load(from + n) : hn::Zero(d)), du, to);
        }
      }
    }
  });
}

/// Pairs of rows k of A^T[depth,m], columns [begin, begin + width): tile by tile, for each pair its rows side by side.
void pack_tiles(const float* source, int64_t m, int64_t begin, int64_t width, int64_t first_k, int64_t last_k,
                uint32_t* to, int64_t tile_stride) {
  const F32 d;
  const U32 du;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t k = first_k; k < last_k; k += 2) {
    uint32_t* out = to + (k - first_k) / 2 * kTileRows;
    for (int64_t row = 0; row < width; row += kTileRows, out += tile_stride) {
      const float* from = source + k * m + begin + row;
      const int64_t count = std::min(lanes, m - begin - row);  // more than a tile: the next pair overwrites the rest
      const auto load = [&](const float* at)
                            HWY_ATTR { return count == lanes ? hn::LoadU(d, at) : load_first(at, count); };
      hn::StoreU(pair_of(load(from), k + 1 < last_k ? load(from + m) : hn::Zero(d)), du, out);
    }
  }
}

void multiply_bf16_here(const Tensor& x, const Tensor& weight, const float* bias, Activation activation, float* pre,
                        float* y) {
  const int64_t depth = weight.shape()[1];
  const PairPanels b(depth, weight.shape()[0]);
  pack_pairs_transposed(weight.data<float>(), depth, b);
  multiply_on_threads(x.data<float>(), x.shape()[0], depth, b, y, {bias, pre, activation, false});
}

void multiply_bf16_plain_here(const Tensor& dpre, const Tensor& weight, float* dx) {
  const int64_t depth = weight.shape()[0];
  const PairPanels b(depth, weight.shape()[1]);
  pack_pairs_plain(weight.data<float>(), depth, b);
  multiply_on_threads(dpre.data<float>(), dpre.shape()[0], depth, b, dx, Epilogue{});
}

void multiply_bf16_transposed_here(const Tensor& dpre, const Tensor& x, float* dweight) {
  const int64_t depth = x.shape()[0], m = dpre.shape()[1], n = x.shape()[1];
  const PairPanels b(depth, n);
  pack_pairs_plain(x.data<float>(), depth, b);
  constexpr int64_t kGroup = 8, kChunk = 1024;  // tiles and k packed together: they fit the second-level cache
  const int64_t tile_stride = kChunk / 2 * kTileRows + 16;
  thread_team().for_ranges((m + kTileRows - 1) / kTileRows, 1, [&](int64_t first, int64_t last) {
    const Tensor copy({kGroup * tile_stride}, DType::kI32);
    for (int64_t tile = first; tile < last; tile += kGroup) {
      const int64_t begin = tile * kTileRows, end = std::min(m, std::min(last, tile + kGroup) * kTileRows);
      for (int64_t k = 0; k == 0 || k < depth; k += kChunk) {
        const int64_t k_end = std::min(depth, k + kChunk);
        pack_tiles(dpre.data<float>(), m, begin, end - begin, k, k_end, words(copy), tile_stride);
        Epilogue sum;
        sum.accumulate = k > 0;
        multiply_pairs(end - begin, {words(copy), tile_stride, 1, kTileRows}, b, 0, b.count, k / 2, (k_end - k + 1) / 2,
                       dweight + begin * n, sum);
      }
    }
  });
}

#else  // no product here: has_bf16() keeps callers away

bool has_bf16_here() {
  return false;
}
void multiply_bf16_here(const Tensor&, const Tensor&, const float*, Activation, float*, float*) {
  HWY_ABORT("no bf16 product");
}
void multiply_bf16_plain_here(const Tensor&, const Tensor&, float*) {
  HWY_ABORT("no bf16 product");
}
void multiply_bf16_transposed_here(const Tensor&, const Tensor&, float*) {
  HWY_ABORT("no bf16 product");
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(has_bf16_here);
HWY_EXPORT(round_here);
HWY_EXPORT(multiply_bf16_here);
HWY_EXPORT(multiply_bf16_plain_here);
HWY_EXPORT(multiply_bf16_transposed_here);

namespace cpu {

bool has_bf16() {
  return HWY_DYNAMIC_DISPATCH(has_bf16_here)();
}

Tensor round_to_bf16(const Tensor& x) {
  const Tensor copy(x.shape(), DType::kF32);
  HWY_DYNAMIC_DISPATCH(round_here)(x.data<float>(), x.elements(), copy.data<float>());
  return copy;
}

void multiply_bf16(const Tensor& x, const Tensor& weight, const float* bias, Activation activation, float* pre,
                   float* y) {
  HWY_DYNAMIC_DISPATCH(multiply_bf16_here)(x, weight, bias, activation, pre, y);
}

void multiply_bf16_plain(const Tensor& dpre, const Tensor& weight, float* dx) {
  HWY_DYNAMIC_DISPATCH(multiply_bf16_plain_here)(dpre, weight, dx);
}

void multiply_bf16_transposed(const Tensor& dpre, const Tensor& x, float* dweight) {
  HWY_DYNAMIC_DISPATCH(multiply_bf16_transposed_here)(dpre, x, dweight);
}

}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
