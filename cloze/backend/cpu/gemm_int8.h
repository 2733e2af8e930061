// The 8-bit product of the cpu backend (formula: cloze/backend/int8.h), spread over the thread team.
#pragma once

#include "cloze/backend/int8.h"

namespace cloze::cpu {

/// An Int8Weight in panels of two vectors of columns: for each four inputs in turn, four bytes of each column.
struct PackedInt8 : PreparedWeight {
  int64_t depth = 0, columns = 0;                 ///< K, M
  Tensor panels;                                  ///< U8, zero-padded to whole panels and to fours of inputs
  Tensor scales, sums;                            ///< F32 and I32, zero-padded to whole panels
  std::optional<RowScale> inputs = std::nullopt;  ///< as the weight's
};

/// What all tiles of one product share.
struct Int8Product {
  const PackedInt8& weight;
  const float* bias;
  Activation activation;
  float* y;
};

PackedInt8 pack_int8(const Int8Weight& weight);

/// y[m, M] = activation(x[m, K] weight^T + bias), row-major; bias may be null.
void multiply_int8(const float* x, int64_t m, const PackedInt8& weight, const float* bias, Activation activation,
                   float* y);

}  // namespace cloze::cpu
