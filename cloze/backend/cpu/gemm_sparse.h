// Products with a weight that is mostly zeros (f32), spread over the thread team: only what is not zero is multiplied,
// each number with a vector of tokens. The order of the sums is the dense product's, so that the bits are the same but
// for the sign of zeros (and where inputs are not finite).
#pragma once

#include <cstdint>

#include "cloze/backend/sparse.h"

namespace cloze::cpu {

/// From this share of zeros on the sparse product is the faster one (docs/compression.md).
constexpr double kSparseFrom = 0.7;

/// y[m, M] = activation(x[m, K] weight^T + bias), row-major; bias may be null.
void multiply_sparse(const float* x, int64_t m, const SparseWeight& weight, const float* bias, Activation activation,
                     float* y);

}  // namespace cloze::cpu
