// Products with a weight that is mostly zeros (f32), spread over the thread team: only what is not zero is multiplied,
// each number with a vector of tokens. The order of the sums is the dense product's, so that the bits are the same but
// for the sign of zeros (and where inputs are not finite).
#pragma once

#include <cstdint>

#include "cloze/backend/backend.h"

namespace cloze::cpu {

/// weight[M,K] by its rows.
struct PackedSparse : PreparedWeight {
  int64_t depth = 0, columns = 0;  ///< K, M
  Tensor starts;                   ///< [M+1] I64: where each row's numbers begin
  Tensor places;                   ///< I32: their k, rising
  Tensor values;                   ///< F32
};

/// Share of zeros.
double zero_share(const Tensor& weight);
/// From this share of zeros on the sparse product is the faster one (docs/compression.md).
constexpr double kSparseFrom = 0.7;

PackedSparse pack_sparse(const Tensor& weight);

/// y[m, M] = activation(x[m, K] weight^T + bias), row-major; bias may be null.
void multiply_sparse(const float* x, int64_t m, const PackedSparse& weight, const float* bias, Activation activation,
                     float* y);

}  // namespace cloze::cpu
