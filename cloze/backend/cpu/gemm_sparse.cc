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
/// One product, its operands checked.
struct SparseProduct {
  const float* x;
  int64_t m, depth, n;
  const int64_t* starts;
  const int32_t* places;
  const float* values;
  const uint8_t* shared;
  const float* bias;
  Activation activation;
  float* y;
};
}  // namespace cloze::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

// A tile is up to kMostVectors vectors of tokens, packed in panels of two.
constexpr int kMostVectors = 4;
constexpr int64_t kMostOutputs = 256;  // of a tile at a time
// Four outputs with the same places share the loads of tokens; with 4 vectors their sums take 16 registers.
constexpr int kGroupVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

/// Where vector i of k = 0 begins in a tile, in floats.
HWY_INLINE int64_t vector_at(int i, int64_t lanes, int64_t depth) {
  return (i / 2) * 2 * lanes * depth + (i % 2) * lanes;
}

/// acc[i] += vectors[i][place] value, for kVectors vectors of tokens.
template <int kVectors>
HWY_INLINE void add_number(float value, int32_t place, const float* const (&vectors)[kVectors], hn::Vec<F32>* acc) {
  const F32 d;
  const hn::Vec<F32> w = hn::Set(d, value);
  const int64_t at = int64_t{place} * 2 * static_cast<int64_t>(hn::Lanes(d));
  HWY_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) acc[i] = hn::MulAdd(hn::Load(d, vectors[i] + at), w, acc[i]);
}

/// sums[kRows][kVectors vectors]: the outputs j, j + 1, ... of the tile's tokens. Side by side, because the sums of one
/// output wait for each other.
template <int kRows, int kVectors>
HWY_INLINE void sum_rows(const cpu::SparseProduct& p, int64_t j, const float* HWY_RESTRICT tile,
                         float* HWY_RESTRICT sums) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), stride = kVectors * lanes;
  using V = hn::Vec<F32>;
  V acc[kRows * kVectors];
  HWY_UNROLL(8)
  for (int i = 0; i < kRows * kVectors; ++i) acc[i] = hn::Zero(d);
  const float* vectors[kVectors];
  HWY_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) vectors[i] = tile + vector_at(i, lanes, p.depth);
  int64_t common = p.starts[j + 1] - p.starts[j];
  const int32_t* places[kRows];
  const float* values[kRows];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    places[r] = p.places + p.starts[j + r];
    values[r] = p.values + p.starts[j + r];
    common = std::min(common, p.starts[j + r + 1] - p.starts[j + r]);
  }
  for (int64_t e = 0; e < common; ++e) {
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) add_number(values[r][e], places[r][e], vectors, acc + r * kVectors);
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    const int64_t count = p.starts[j + r + 1] - p.starts[j + r];
    for (int64_t e = common; e < count; ++e) add_number(values[r][e], places[r][e], vectors, acc + r * kVectors);
    HWY_UNROLL(4)
    for (int i = 0; i < kVectors; ++i) hn::Store(acc[r * kVectors + i], d, sums + r * stride + i * lanes);
  }
}

/// The same for the outputs j to j + 3, whose numbers stand in the same places; their sums are `stride` apart.
template <int kVectors>
HWY_INLINE void sum_group(const cpu::SparseProduct& p, int64_t j, const float* HWY_RESTRICT tile,
                          float* HWY_RESTRICT sums, int64_t stride) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  using V = hn::Vec<F32>;
  V acc0[kVectors], acc1[kVectors], acc2[kVectors], acc3[kVectors];
  const float* vectors[kVectors];
  HWY_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) {
    acc0[i] = acc1[i] = acc2[i] = acc3[i] = hn::Zero(d);
    vectors[i] = tile + vector_at(i, lanes, p.depth);
  }
  const int32_t* HWY_RESTRICT places = p.places + p.starts[j];
  const float *HWY_RESTRICT values0 = p.values + p.starts[j], *HWY_RESTRICT values1 = p.values + p.starts[j + 1],
                            *HWY_RESTRICT values2 = p.values + p.starts[j + 2],
                            *HWY_RESTRICT values3 = p.values + p.starts[j + 3];
  const int64_t count = p.starts[j + 1] - p.starts[j];
  for (int64_t e = 0; e < count; ++e) {
    const int64_t at = int64_t{places[e]} * 2 * lanes;
    const V w0 = hn::Set(d, values0[e]), w1 = hn::Set(d, values1[e]), w2 = hn::Set(d, values2[e]),
            w3 = hn::Set(d, values3[e]);
    HWY_UNROLL(4)
    for (int i = 0; i < kVectors; ++i) {
      const V x = hn::Load(d, vectors[i] + at);
      acc0[i] = hn::MulAdd(x, w0, acc0[i]);
      acc1[i] = hn::MulAdd(x, w1, acc1[i]);
      acc2[i] = hn::MulAdd(x, w2, acc2[i]);
      acc3[i] = hn::MulAdd(x, w3, acc3[i]);
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < kVectors; ++i) {
    hn::Store(acc0[i], d, sums + i * lanes);
    hn::Store(acc1[i], d, sums + stride + i * lanes);
    hn::Store(acc2[i], d, sums + 2 * stride + i * lanes);
    hn::Store(acc3[i], d, sums + 3 * stride + i * lanes);
  }
}

/// sums[output][kVectors vectors]: the outputs [first, last) of the tile's tokens.
template <int kVectors>
HWY_INLINE void sum_tile(const cpu::SparseProduct& p, int64_t first, int64_t last, const float* tile, float* sums) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(F32())), stride = kVectors * lanes;
  constexpr int kAtOnce = std::min(kVectors, kGroupVectors), kRowsAtOnce = kMostVectors / kVectors;
  for (int64_t j = first; j < last;) {
    float* own = sums + (j - first) * stride;
    if (j % kSparseGroup == 0 && j + kSparseGroup <= last && p.shared[j / kSparseGroup] != 0) {
      for (int i = 0; i < kVectors; i += kAtOnce)
        sum_group<kAtOnce>(p, j, tile + vector_at(i, lanes, p.depth), own + i * lanes, stride);
      j += kSparseGroup;
    } else if (j + kRowsAtOnce <= last) {
      sum_rows<kRowsAtOnce, kVectors>(p, j, tile, own);
      j += kRowsAtOnce;
    } else {
      sum_rows<1, kVectors>(p, j, tile, own);
      ++j;
    }
  }
}

/// Turns the sums of the outputs [first, last) and stores them: `stride` tokens from `row` on.
inline void store_tile(const cpu::SparseProduct& p, int64_t row, int64_t first, int64_t last, const float* sums,
                       int64_t stride) {
  constexpr int64_t kMostWidth = 2 * HWY_MAX_BYTES / sizeof(float);
  HWY_ALIGN float turned[kMostVectors / 2 * kMostWidth * kMostWidth];
  const Epilogue epilogue{p.bias, nullptr, p.activation, false};
  const int64_t width = panel_width(), tokens = std::min(stride, p.m - row);
  for (int64_t column = first; column < last; column += width) {
    const int64_t columns = std::min(width, last - column);
    const float* from = sums + (column - first) * stride;
    if (columns == width && width % 4 == 0 && stride % 4 == 0) {
      for (int64_t j = 0; j < width; j += 4)
        for (int64_t t = 0; t < stride; t += 4)
          transpose4(from + j * stride + t, stride, turned + t * width + j, width);
    } else {
      for (int64_t t = 0; t < stride; ++t) {
        for (int64_t j = 0; j < columns; ++j) turned[t * width + j] = from[j * stride + t];
        std::fill(turned + t * width + columns, turned + (t + 1) * width, 0.0f);
      }
    }
    for (int64_t t = 0; t < tokens; ++t)
      store_row(turned + t * width, columns, column, p.y + (row + t) * p.n + column, nullptr, epilogue);
  }
}

/// The outputs [first, last), at most kMostOutputs, of the tile that begins with token `row`.
inline void multiply_tile(const cpu::SparseProduct& p, int64_t row, int64_t first, int64_t last, const float* tile) {
  HWY_ALIGN float sums[kMostOutputs * kMostVectors * HWY_MAX_BYTES / sizeof(float)];
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(F32()));
  const int64_t vectors = std::min<int64_t>(kMostVectors, (p.m - row + lanes - 1) / lanes);
  if (vectors == 1)
    sum_tile<1>(p, first, last, tile, sums);
  else if (vectors == 2)
    sum_tile<2>(p, first, last, tile, sums);
  else
    sum_tile<4>(p, first, last, tile, sums);
  store_tile(p, row, first, last, sums, (vectors == 3 ? 4 : vectors) * lanes);
}

void multiply_sparse_here(const cpu::SparseProduct& p) {
  ThreadTeam& team = thread_team();
  const int64_t width = panel_width(), tall = kMostVectors / 2 * width, tiles = (p.m + tall - 1) / tall;
  // As many outputs a task as fit; where tiles are few, so few that every thread has some.
  const int64_t parts = std::max<int64_t>(1, (team.size() + tiles - 1) / tiles);
  const int64_t share = (p.n + parts - 1) / parts;
  const int64_t outputs = std::min(kMostOutputs, std::max<int64_t>(1, (share + width - 1) / width) * width);
  const int64_t groups = (p.n + outputs - 1) / outputs;
  const int64_t work = std::max<int64_t>(1, p.starts[p.n] / std::max<int64_t>(1, groups) * std::min(tall, p.m));
  constexpr int64_t kWorthAThread = 1 << 16;
  team.for_ranges(tiles * groups, std::max<int64_t>(1, kWorthAThread / work), [&](int64_t begin, int64_t end) {
    const Tensor packed({std::min(tall, (p.m + width - 1) / width * width), p.depth}, DType::kF32);
    float* tile = packed.data<float>();
    int64_t packed_row = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task / groups * tall, first = task % groups * outputs, tokens = std::min(tall, p.m - row);
      if (row != packed_row)
        pack_columns(p.x + row * p.depth, p.depth, p.depth, tokens, 0, (tokens + width - 1) / width, tile);
      packed_row = row;
      multiply_tile(p, row, first, std::min(first + outputs, p.n), tile);
    }
  });
}

int64_t lanes_here() {
  return static_cast<int64_t>(hn::Lanes(F32()));
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(multiply_sparse_here);
HWY_EXPORT(lanes_here);

namespace cpu {

bool sparse_pays(const SparseWeight& weight) {
  const double single = HWY_DYNAMIC_DISPATCH(lanes_here)() > 8 ? kSparseFromWide : kSparseFrom;
  return weight.zeros() >= single + weight.shared_rows() * (kSparseFromBlocks - single) - kSparseRounding;
}

void multiply_sparse(const float* x, int64_t m, const SparseWeight& weight, const float* bias, Activation activation,
                     float* y) {
  if (m == 0) return;
  HWY_DYNAMIC_DISPATCH(multiply_sparse_here)
  ({.x = x,
    .m = m,
    .depth = weight.depth,
    .n = weight.columns,
    .starts = weight.starts.data<int64_t>(),
    .places = weight.places.data<int32_t>(),
    .values = weight.values.data<float>(),
    .shared = weight.shared.data<uint8_t>(),
    .bias = bias,
    .activation = activation,
    .y = y});
}

}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
