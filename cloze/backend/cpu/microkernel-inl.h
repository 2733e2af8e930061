// Per-target: the register tile of all products, and packing of its operands. Included once per SIMD target.
//
// C[M,N] = A[M,K] B[K,N]. B is packed in panels of kPanel = 2 vectors: panel p holds columns p kPanel … for each k
// in turn, zero-padded. A is read in place through a row stride and a k stride. Each element of C is one chain of
// multiply-adds over k = 0, 1, …, K-1, whatever the tile it falls into: so its bits do not depend on M, N, the place
// of the row, or the threads.
#if defined(CLOZE_BACKEND_CPU_MICROKERNEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLOZE_BACKEND_CPU_MICROKERNEL_INL_H_
#undef CLOZE_BACKEND_CPU_MICROKERNEL_INL_H_
#else
#define CLOZE_BACKEND_CPU_MICROKERNEL_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cloze/backend/cpu/vector_math-inl.h"
#include "cloze/tensor/tensor.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Rows of a tile: with 32 registers 12 x 2 accumulators fit, with 16 registers 6 x 2.
constexpr int64_t kTileRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;

inline int64_t panel_width() {
  return 2 * static_cast<int64_t>(hn::Lanes(F32()));
}

/// Where A's element (row, k) stands: data[row * row_stride + k * k_stride].
struct StridedMatrix {
  const float* data;
  int64_t row_stride, k_stride;
};

/// What happens to a finished element before it is stored.
struct Epilogue {
  const float* bias = nullptr;  ///< [N], added
  float* pre = nullptr;         ///< like C: the value before the activation
  Activation activation = Activation::kNone;
  bool accumulate = false;  ///< C += instead of C =
};

template <int kRows>
HWY_INLINE void tile(int64_t depth, const float* HWY_RESTRICT a, int64_t row_stride, int64_t k_stride,
                     const float* HWY_RESTRICT panel, float* HWY_RESTRICT out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  using V = hn::Vec<F32>;
  V acc0[kRows], acc1[kRows];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) acc0[r] = acc1[r] = hn::Zero(d);
  const float* rows[(kRows + 3) / 4];
  for (int g = 0; g < (kRows + 3) / 4; ++g) rows[g] = a + 4 * g * row_stride;
  const int64_t stride3 = 3 * row_stride;
  for (int64_t k = 0; k < depth; ++k) {
    const V b0 = hn::Load(d, panel), b1 = hn::Load(d, panel + lanes);
    panel += 2 * lanes;
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      // Four rows share a pointer: the addresses fit x86's base + {1, 2, 4} index forms.
      const float* base = rows[r / 4];
      const float value = r % 4 == 0   ? base[0]
                          : r % 4 == 1 ? base[row_stride]
                          : r % 4 == 2 ? base[2 * row_stride]
                                       : base[stride3];
      const V broadcast = hn::Set(d, value);
      acc0[r] = hn::MulAdd(broadcast, b0, acc0[r]);
      acc1[r] = hn::MulAdd(broadcast, b1, acc1[r]);
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

/// tile<rows> for a row count known only at run time (1 to kTileRows).
HWY_INLINE void any_tile(int64_t rows, int64_t depth, const float* a, int64_t row_stride, int64_t k_stride,
                         const float* panel, float* out) {
  switch (rows) {
    case 1:
      return tile<1>(depth, a, row_stride, k_stride, panel, out);
    case 2:
      return tile<2>(depth, a, row_stride, k_stride, panel, out);
    case 3:
      return tile<3>(depth, a, row_stride, k_stride, panel, out);
    case 4:
      return tile<4>(depth, a, row_stride, k_stride, panel, out);
    case 5:
      return tile<5>(depth, a, row_stride, k_stride, panel, out);
    case 6:
      return tile<6>(depth, a, row_stride, k_stride, panel, out);
#if HWY_TARGET <= HWY_AVX3
    case 7:
      return tile<7>(depth, a, row_stride, k_stride, panel, out);
    case 8:
      return tile<8>(depth, a, row_stride, k_stride, panel, out);
    case 9:
      return tile<9>(depth, a, row_stride, k_stride, panel, out);
    case 10:
      return tile<10>(depth, a, row_stride, k_stride, panel, out);
    case 11:
      return tile<11>(depth, a, row_stride, k_stride, panel, out);
    case 12:
      return tile<12>(depth, a, row_stride, k_stride, panel, out);
#endif
    default:
      HWY_ABORT("tile of %d rows", static_cast<int>(rows));
  }
}

/// Stores `columns` (1 to kPanel) finished values of a tile row, through the epilogue.
HWY_INLINE void store_row(const float* HWY_RESTRICT sums, int64_t columns, int64_t first_column, float* c, float* pre,
                          const Epilogue& epilogue) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t at = 0; at < columns; at += lanes) {
    const int64_t count = std::min(lanes, columns - at);
    auto v = hn::Load(d, sums + at);
    const auto load = [&](const float* from)
                          HWY_ATTR { return count == lanes ? hn::LoadU(d, from) : load_first(from, count); };
    const auto store = [&](auto value, float* to) HWY_ATTR {
      if (count == lanes)
        hn::StoreU(value, d, to);
      else
        store_first(value, to, count);
    };
    if (epilogue.bias != nullptr) v = hn::Add(v, load(epilogue.bias + first_column + at));
    if (epilogue.accumulate) v = hn::Add(v, load(c + at));
    if (pre != nullptr) store(v, pre + at);
    store(activate(d, epilogue.activation, v), c + at);
  }
}

/// C[0:m, columns of panels first_panel to last_panel) of the product; C and epilogue.pre have row stride `c_stride`
/// and column 0 of the whole matrix at `c`. `n` is the whole column count.
HWY_INLINE void multiply(int64_t m, int64_t depth, int64_t n, StridedMatrix a, const float* packed, int64_t first_panel,
                         int64_t last_panel, float* c, int64_t c_stride, const Epilogue& epilogue) {
  const int64_t width = panel_width();
  HWY_ALIGN float sums[kTileRows * 2 * HWY_MAX_BYTES / sizeof(float)];
  // A block of rows stays in the second-level cache while all panels pass over it.
  constexpr int64_t kBlockBytes = 384 << 10;
  const int64_t fit = kBlockBytes / (std::max<int64_t>(depth, 1) * static_cast<int64_t>(sizeof(float)));
  const int64_t block = std::max<int64_t>(fit / kTileRows, 4) * kTileRows;
  // Rows a multiple of 2 KiB apart fall into the same few sets of the first-level cache and drive each other out.
  const bool crowded = a.k_stride == 1 && a.row_stride % 512 == 0 && m > 1 && last_panel - first_panel > 1;
  const int64_t spread = depth + 16;
  const Tensor copy = crowded ? Tensor({std::min(m, block) * spread}, DType::kF32) : Tensor();
  for (int64_t begin = 0; begin < m; begin += block) {
    const int64_t end = std::min(m, begin + block);
    StridedMatrix from{a.data + begin * a.row_stride, a.row_stride, a.k_stride};
    if (crowded) {
      for (int64_t r = 0; r < end - begin; ++r)
        std::memcpy(copy.data<float>() + r * spread, from.data + r * a.row_stride,
                    static_cast<size_t>(depth) * sizeof(float));
      from = {copy.data<float>(), spread, 1};
    }
    for (int64_t p = first_panel; p < last_panel; ++p) {
      const float* panel = packed + p * width * depth;
      const int64_t column = p * width, columns = std::min(width, n - column);
      for (int64_t row = begin; row < end; row += kTileRows) {
        const int64_t rows = std::min(kTileRows, end - row);
        const float* a_tile = from.data + (row - begin) * from.row_stride;
        if (rows == kTileRows)
          tile<kTileRows>(depth, a_tile, from.row_stride, from.k_stride, panel, sums);
        else
          any_tile(rows, depth, a_tile, from.row_stride, from.k_stride, panel, sums);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t at = (row + r) * c_stride + column;
          store_row(sums + r * width, columns, column, c + at, epilogue.pre == nullptr ? nullptr : epilogue.pre + at,
                    epilogue);
        }
      }
    }
  }
}

/// Packs panels [first, last) of B where B(k, column) = source[k * k_stride + column] (rows of B are contiguous).
HWY_INLINE void pack_rows(const float* source, int64_t k_stride, int64_t depth, int64_t n, int64_t first, int64_t last,
                          float* packed) {
  const F32 d;
  const int64_t width = panel_width(), lanes = width / 2;
  for (int64_t p = first; p < last; ++p) {
    float* to = packed + p * width * depth;
    const float* from = source + p * width;
    const int64_t columns = std::min(width, n - p * width);
    for (int64_t k = 0; k < depth; ++k, to += width, from += k_stride) {
      if (columns == width) {
        hn::Store(hn::LoadU(d, from), d, to);
        hn::Store(hn::LoadU(d, from + lanes), d, to + lanes);
      } else {
        std::memcpy(to, from, static_cast<size_t>(columns) * sizeof(float));
        std::memset(to + columns, 0, static_cast<size_t>(width - columns) * sizeof(float));
      }
    }
  }
}

/// to[i * to_stride + j] = from[j * from_stride + i] for i, j below 4.
HWY_INLINE void transpose4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j) to[i * to_stride + j] = from[j * from_stride + i];
#else
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_stride), c = hn::LoadU(d, from + 2 * from_stride),
             e = hn::LoadU(d, from + 3 * from_stride);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
             ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(d, c, e)),
             ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ce_low)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ce_low)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ce_high)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ce_high)), d, to + 3 * to_stride);
#endif
}

/// Packs panels [first, last) of B where B(k, column) = source[column * column_stride + k] (a weight [N,K], or keys).
HWY_INLINE void pack_columns(const float* source, int64_t column_stride, int64_t depth, int64_t n, int64_t first,
                             int64_t last, float* packed) {
  const int64_t width = panel_width();
  constexpr int64_t kChunk = 16;  // one cache line of each column at a time
  for (int64_t p = first; p < last; ++p) {
    float* panel = packed + p * width * depth;
    const int64_t columns = std::min(width, n - p * width);
    for (int64_t k0 = 0; k0 < depth; k0 += kChunk) {
      const int64_t k1 = std::min(depth, k0 + kChunk), k4 = k0 + (k1 - k0) / 4 * 4, j4 = columns / 4 * 4;
      for (int64_t j = 0; j < j4; j += 4) {
        const float* from = source + (p * width + j) * column_stride;
        for (int64_t k = k0; k < k4; k += 4) transpose4(from + k, column_stride, panel + k * width + j, width);
      }
      for (int64_t j = 0; j < columns; ++j) {
        const float* from = source + (p * width + j) * column_stride;
        for (int64_t k = j < j4 ? k4 : k0; k < k1; ++k) panel[k * width + j] = from[k];
      }
      for (int64_t k = k0; k < k1; ++k)
        std::memset(panel + k * width + columns, 0, static_cast<size_t>(width - columns) * sizeof(float));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#endif
