#include "cloze/backend/cpu/gemm_int8.h"

#include <algorithm>
#include <cstring>

#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each. This one
// product also wants AVX-512's 8-bit dot products.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/gemm_int8.cc"
#define CLOZE_WANT_VNNI
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

using I32 = hn::ScalableTag<int32_t>;

/// Rows of a tile: as many accumulators as registers allow beside the temporaries of dot4.
constexpr int64_t kInt8Rows = HWY_TARGET <= HWY_AVX3 ? 12 : 4;

int64_t int8_panel_width() {
  return 2 * static_cast<int64_t>(hn::Lanes(I32()));
}

/// Four bytes of inputs, the same in each lane, ready to be multiplied by any column.
struct Inputs4 {
#if HWY_TARGET <= HWY_AVX3_DL
  HWY_INLINE explicit Inputs4(hn::Vec<I32> bytes) : all(bytes) {}
  hn::Vec<I32> all;
#elif HWY_TARGET <= HWY_SSE4
  HWY_INLINE explicit Inputs4(hn::Vec<I32> bytes)
      : even(hn::And(bytes, hn::Set(I32(), 0x00FF00FF))),
        odd(hn::And(hn::ShiftRight<8>(bytes), hn::Set(I32(), 0x00FF00FF))) {}
  hn::Vec<I32> even, odd;
#else
  HWY_INLINE explicit Inputs4(hn::Vec<I32> bytes) : all(bytes) {}
  hn::Vec<I32> all;
#endif
};

/// Four signed bytes of each of a vector's columns.
struct Weights4 {
#if HWY_TARGET > HWY_AVX3_DL && HWY_TARGET <= HWY_SSE4
  HWY_INLINE explicit Weights4(hn::Vec<I32> bytes) {
    const hn::Repartition<int16_t, I32> d16;
    const auto pairs = hn::BitCast(d16, bytes);
    even = hn::BitCast(I32(), hn::ShiftRight<8>(hn::ShiftLeft<8>(pairs)));
    odd = hn::BitCast(I32(), hn::ShiftRight<8>(pairs));
  }
  hn::Vec<I32> even, odd;
#else
  HWY_INLINE explicit Weights4(hn::Vec<I32> bytes) : all(bytes) {}
  hn::Vec<I32> all;
#endif
};

/// sum + the four products of each lane, exact: no step saturates.
HWY_INLINE hn::Vec<I32> dot4(hn::Vec<I32> sum, const Inputs4& u, const Weights4& q) {
#if HWY_TARGET <= HWY_AVX3_DL
  // As assembly, since Highway 1.0.3 compiles this target without the option that the intrinsic asks for.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(u.all.raw), "v"(q.all.raw));
  return sum;
#elif HWY_TARGET <= HWY_AVX3
  const hn::Vec<I32> even{_mm512_madd_epi16(u.even.raw, q.even.raw)}, odd{_mm512_madd_epi16(u.odd.raw, q.odd.raw)};
  return hn::Add(sum, hn::Add(even, odd));
#elif HWY_TARGET <= HWY_AVX2
  const hn::Vec<I32> even{_mm256_madd_epi16(u.even.raw, q.even.raw)}, odd{_mm256_madd_epi16(u.odd.raw, q.odd.raw)};
  return hn::Add(sum, hn::Add(even, odd));
#elif HWY_TARGET <= HWY_SSE4
  const hn::Vec<I32> even{_mm_madd_epi16(u.even.raw, q.even.raw)}, odd{_mm_madd_epi16(u.odd.raw, q.odd.raw)};
  return hn::Add(sum, hn::Add(even, odd));
#else
  const auto byte = hn::Set(I32(), 0xFF);
  const auto product = [&](auto input, auto weight)
                           HWY_ATTR { return hn::Mul(hn::And(input, byte), hn::ShiftRight<24>(weight)); };
  sum = hn::Add(sum, product(u.all, hn::ShiftLeft<24>(q.all)));
  sum = hn::Add(sum, product(hn::ShiftRight<8>(u.all), hn::ShiftLeft<16>(q.all)));
  sum = hn::Add(sum, product(hn::ShiftRight<16>(u.all), hn::ShiftLeft<8>(q.all)));
  return hn::Add(sum, product(hn::ShiftRight<24>(u.all), q.all));
#endif
}

template <int kRows>
HWY_INLINE void int8_tile(int64_t fours, const uint8_t* HWY_RESTRICT u, int64_t row_stride,
                          const uint8_t* HWY_RESTRICT panel, int32_t* HWY_RESTRICT out) {
  const I32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  using V = hn::Vec<I32>;
  V acc0[kRows], acc1[kRows];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) acc0[r] = acc1[r] = hn::Zero(d);
  const uint8_t* rows[(kRows + 3) / 4];
  for (int g = 0; g < (kRows + 3) / 4; ++g) rows[g] = u + 4 * g * row_stride;
  const int64_t stride3 = 3 * row_stride;
  for (int64_t k = 0; k < fours; ++k) {
    const int32_t* at = reinterpret_cast<const int32_t*>(panel);
    const Weights4 q0(hn::Load(d, at)), q1(hn::Load(d, at + lanes));
    panel += 8 * lanes;
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      const uint8_t* base = rows[r / 4];
      const uint8_t* from = r % 4 == 0   ? base
                            : r % 4 == 1 ? base + row_stride
                            : r % 4 == 2 ? base + 2 * row_stride
                                         : base + stride3;
      int32_t four;
      std::memcpy(&four, from, sizeof four);
      const Inputs4 inputs(hn::Set(d, four));
      acc0[r] = dot4(acc0[r], inputs, q0);
      acc1[r] = dot4(acc1[r], inputs, q1);
    }
    HWY_UNROLL(12)
    for (int g = 0; g < (kRows + 3) / 4; ++g) rows[g] += 4;
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    hn::Store(acc0[r], d, out + 2 * lanes * r);
    hn::Store(acc1[r], d, out + 2 * lanes * r + lanes);
  }
}

HWY_INLINE void any_int8_tile(int64_t rows, int64_t fours, const uint8_t* u, int64_t row_stride, const uint8_t* panel,
                              int32_t* out) {
  // A few sizes serve: the rows of a smaller one are done one by one.
  const int64_t width = int8_panel_width();
  int64_t done = 0;
  for (; rows - done >= 4; done += 4) int8_tile<4>(fours, u + done * row_stride, row_stride, panel, out + done * width);
  switch (rows - done) {
    case 3:
      return int8_tile<3>(fours, u + done * row_stride, row_stride, panel, out + done * width);
    case 2:
      return int8_tile<2>(fours, u + done * row_stride, row_stride, panel, out + done * width);
    case 1:
      return int8_tile<1>(fours, u + done * row_stride, row_stride, panel, out + done * width);
    default:
      return;
  }
}

/// The inputs of some rows as integers.
struct QuantizedRows {
  explicit QuantizedRows(int64_t rows, int64_t depth)
      : stride((depth + 63) / 64 * 64 + 64),
        values({rows * stride}, DType::kU8),
        scales({rows}, DType::kF32),
        zeros({rows}, DType::kI32) {}

  int64_t stride;  ///< room for whole vectors, and odd in cache lines for the usual depths
  Tensor values, scales, zeros;
};

HWY_INLINE RowScale scale_of_row(const float* from, int64_t depth) {
  const F32 d;
  auto lo = hn::Zero(d), hi = hn::Zero(d);
  for_row(depth, [&](int64_t at, auto step) HWY_ATTR {
    const auto v = step.load(from + at);  // lanes past the end are 0, which is within the range anyway
    lo = hn::Min(lo, v);
    hi = hn::Max(hi, v);
  });
  return row_scale(hn::GetLane(hn::MinOfLanes(d, lo)), hn::GetLane(hn::MaxOfLanes(d, hi)));
}

void quantize_rows(const float* x, int64_t rows, int64_t depth, const std::optional<RowScale>& fixed,
                   const QuantizedRows& to) {
  const F32 d;
  const I32 di;
  const hn::Rebind<uint8_t, F32> bytes;
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * depth;
    const RowScale scale = fixed ? *fixed : scale_of_row(from, depth);
    const auto inverse = hn::Set(d, scale.inverse), zero = hn::Set(d, static_cast<float>(scale.zero));
    uint8_t* u = to.values.data<uint8_t>() + row * to.stride;
    for_row(depth, [&](int64_t at, auto step) HWY_ATTR {
      const auto rounded = hn::Add(hn::Round(hn::Mul(step.load(from + at), inverse)), zero);
      const auto clamped = hn::Min(hn::Max(rounded, hn::Zero(d)), hn::Set(d, 255.0f));
      hn::StoreU(hn::DemoteTo(bytes, hn::ConvertTo(di, clamped)), bytes, u + at);
    });
    to.scales.data<float>()[row] = scale.scale;
    to.zeros.data<int32_t>()[row] = scale.zero;
  }
}

HWY_INLINE void store_int8_row(const int32_t* HWY_RESTRICT sums, int64_t column, const cpu::Int8Product& p, float scale,
                               int32_t zero, float* y) {
  const F32 d;
  const I32 di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t columns = std::min(int8_panel_width(), p.weight.columns - column);
  const auto scale_v = hn::Set(d, scale);
  const auto zero_v = hn::Set(di, zero);
  for (int64_t at = 0; at < columns; at += lanes) {
    const int64_t count = std::min(lanes, columns - at), c = column + at;
    const auto offset = hn::Mul(zero_v, hn::LoadU(di, p.weight.sums.data<int32_t>() + c));
    const auto sum = hn::ConvertTo(d, hn::Sub(hn::Load(di, sums + at), offset));
    const auto factor = hn::Mul(scale_v, hn::LoadU(d, p.weight.scales.data<float>() + c));
    auto bias = hn::Zero(d);
    if (p.bias != nullptr) bias = count == lanes ? hn::LoadU(d, p.bias + c) : load_first(p.bias + c, count);
    const auto v = activate(d, p.activation, hn::MulAdd(sum, factor, bias));
    if (count == lanes)
      hn::StoreU(v, d, y + at);
    else
      store_first(v, y + at, count);
  }
}

/// Rows [begin, end) of the quantized inputs by panels [first, last); row r of them is row `row_of_y` + r of y.
void int8_block(const cpu::Int8Product& p, const QuantizedRows& x, int64_t begin, int64_t end, int64_t first,
                int64_t last, int64_t row_of_y) {
  const int64_t width = int8_panel_width(), fours = (p.weight.depth + 3) / 4, n = p.weight.columns;
  HWY_ALIGN int32_t sums[kInt8Rows * 2 * HWY_MAX_BYTES / sizeof(int32_t)];
  constexpr int64_t kBlockBytes = 384 << 10;  // of rows stay in the second-level cache while all panels pass
  const int64_t block = std::max<int64_t>(kBlockBytes / x.stride / kInt8Rows, 4) * kInt8Rows;
  for (int64_t from = begin; from < end; from += block) {
    const int64_t to = std::min(end, from + block);
    for (int64_t panel = first; panel < last; ++panel) {
      const uint8_t* q = p.weight.panels.data<uint8_t>() + panel * width * fours * 4;
      for (int64_t row = from; row < to; row += kInt8Rows) {
        const int64_t rows = std::min(kInt8Rows, to - row);
        const uint8_t* u = x.values.data<uint8_t>() + row * x.stride;
        if (rows == kInt8Rows)
          int8_tile<kInt8Rows>(fours, u, x.stride, q, sums);
        else
          any_int8_tile(rows, fours, u, x.stride, q, sums);
        for (int64_t r = 0; r < rows; ++r)
          store_int8_row(sums + r * width, panel * width, p, x.scales.data<float>()[row + r],
                         x.zeros.data<int32_t>()[row + r], p.y + (row_of_y + row + r) * n + panel * width);
      }
    }
  }
}

void multiply_int8_here(const float* x, int64_t m, const cpu::Int8Product& p) {
  const int64_t depth = p.weight.depth, panels = (p.weight.columns + int8_panel_width() - 1) / int8_panel_width();
  constexpr int64_t kWorthAThread = 1 << 18;
  const int64_t parts =
      std::min<int64_t>(thread_team().size(), m * p.weight.columns * std::max<int64_t>(depth, 1) / kWorthAThread);
  const int64_t tiles = (m + kInt8Rows - 1) / kInt8Rows;
  if (parts > 1 && (tiles >= 8 * parts || tiles >= panels)) {
    thread_team().for_ranges(tiles, std::max<int64_t>(1, tiles / parts), [&](int64_t first, int64_t last) {
      const int64_t begin = first * kInt8Rows, rows = std::min(last * kInt8Rows, m) - begin;
      const QuantizedRows quantized(rows, depth);
      quantize_rows(x + begin * depth, rows, depth, p.weight.inputs, quantized);
      int8_block(p, quantized, 0, rows, 0, panels, begin);
    });
    return;
  }
  const QuantizedRows quantized(m, depth);
  quantize_rows(x, m, depth, p.weight.inputs, quantized);
  if (parts <= 1) return int8_block(p, quantized, 0, m, 0, panels, 0);
  thread_team().for_ranges(panels, std::max<int64_t>(1, panels / parts),
                           [&](int64_t first, int64_t last) { int8_block(p, quantized, 0, m, first, last, 0); });
}

void pack_int8_here(const Int8Weight& weight, cpu::PackedInt8& packed) {
  const int64_t K = packed.depth, M = packed.columns, width = int8_panel_width();
  const int64_t panels = (M + width - 1) / width, fours = (K + 3) / 4;
  packed.panels = Tensor::zeros({panels * width * fours * 4}, DType::kU8);
  packed.scales = Tensor::zeros({panels * width}, DType::kF32);
  packed.sums = Tensor::zeros({panels * width}, DType::kI32);
  if (M > 0) {
    std::memcpy(packed.scales.raw(), weight.scales.raw(), static_cast<size_t>(weight.scales.bytes()));
    std::memcpy(packed.sums.raw(), weight.sums.raw(), static_cast<size_t>(weight.sums.bytes()));
  }
  thread_team().for_ranges(panels, 1, [&](int64_t first, int64_t last) {
    for (int64_t m = first * width; m < std::min(M, last * width); ++m) {
      const uint8_t* from = weight.values.data<uint8_t>() + m * K;
      uint8_t* to = packed.panels.data<uint8_t>() + m / width * width * fours * 4 + m % width * 4;
      for (int64_t k = 0; k < K; k += 4) {
        if (K - k >= 4)
          std::memcpy(to + k * width, from + k, 4);
        else
          std::memcpy(to + k * width, from + k, static_cast<size_t>(K - k));
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(pack_int8_here);
HWY_EXPORT(multiply_int8_here);

namespace cpu {

PackedInt8 pack_int8(const Int8Weight& weight) {
  PackedInt8 packed;
  packed.precision = Precision::kInt8;
  packed.depth = weight.values.shape()[1];
  packed.columns = weight.values.shape()[0];
  packed.inputs = weight.inputs;
  HWY_DYNAMIC_DISPATCH(pack_int8_here)(weight, packed);
  return packed;
}

void multiply_int8(const float* x, int64_t m, const PackedInt8& weight, const float* bias, Activation activation,
                   float* y) {
  HWY_DYNAMIC_DISPATCH(multiply_int8_here)(x, m, {weight, bias, activation, y});
}

}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
