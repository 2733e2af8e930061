// The 8-bit product of inference: y = activation(x weight^T + bias) with both operands rounded to integers.
//
// Weights: symmetric by output channel, w[m,k] ~ scale[m] q[m,k] with q in -127..127 and scale[m] = max_k |w[m,k]| /
// 127. Inputs: asymmetric by row, as they come: lo = min(0, min_k x), hi = max(0, max_k x), s = (hi - lo) / 255, z =
// round(-lo / s), u[k] = clamp(round(x[k] / s) + z, 0, 255), x[k] ~ s (u[k] - z). A row's numbers depend on that row
// alone, so a text's result does not depend on its neighbours; the sums are of integers and exact in any order: y[m] =
// activation(float(sum_k u[k] q[m,k] - z sum_k q[m,k]) (s scale[m]) + bias[m]). Rounding is to the nearest, ties to
// even. (Jacob et al., 2018, for the scheme.) Where a weight brings a range that its inputs were seen to span, s and z
// are those of that range for all rows, and what lies beyond it is clamped.
#pragma once

#include <cstdint>
#include <optional>

#include "cloze/backend/compact.h"

namespace cloze {

/// K at most: u q summed over K stays in 32 bits.
constexpr int64_t kMostInt8Inputs = 65536;

/// s, 1 / s (0 for a row of zeros) and z of an input row.
struct RowScale {
  float scale, inverse;
  int32_t zero;
  bool operator==(const RowScale&) const = default;
};
RowScale row_scale(float lo, float hi);
/// Of a scale and a zero as they are stored.
RowScale stored_scale(float scale, int32_t zero);

/// What inputs span, with 0.
struct InputRange {
  float lo = 0, hi = 0;
  /// Takes the numbers of x, F32, in. With one that is not finite the range becomes infinite.
  void cover(const Tensor& x);
};

/// weight[M,K] by the formula above.
struct Int8Weight : CompactWeight {
  Tensor values;                                  ///< [M,K] I8
  Tensor scales;                                  ///< [M] F32, finite and not negative
  Tensor sums;                                    ///< [M] I32: sum_k q[m,k]
  std::optional<RowScale> inputs = std::nullopt;  ///< of all rows of inputs; else each row has its own

  Shape shape() const override { return values.shape(); }
  /// scale[m] q[m,k].
  Tensor expand() const override;
};
/// Errors: kShape for K above kMostInt8Inputs; kValue for weights that are not finite.
Int8Weight quantize_weight(const Tensor& weight);
/// From what a file holds, which shares the tensors: values [M,K] I8 (-128 is allowed), scales [M] F32. Errors: kShape
/// for K above kMostInt8Inputs.
Int8Weight int8_weight(const Tensor& values, const Tensor& scales);
/// The rows of all of them, one below the other. They have the same K. Where their inputs are not the same each row has
/// its own.
Int8Weight join_int8(std::span<const Int8Weight* const> parts);
/// scale[m] q[m,k] of some rows [R], each below M: [R,K] F32.
Tensor expand_int8_rows(const Int8Weight& weight, std::span<const int32_t> rows);

/// To the nearest integer, ties to even, for |x| < 2^22.
inline float round_even(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: its last bit is worth 1
  return (x + kShift) - kShift;
}

}  // namespace cloze
