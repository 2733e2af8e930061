// Products with a weight that is mostly zeros (f32), spread over the thread team: only what is not zero is multiplied,
// each number with a vector of tokens. The order of the sums is the dense product's, so that the bits are the same but
// for the sign of zeros (and where inputs are not finite).
#pragma once

#include <cstdint>

#include "cloze/backend/sparse.h"

namespace cloze::cpu {

/// From this share of zeros on the sparse product is the faster one (docs/compression.md): where all zeros stand in
/// blocks, where none do with vectors of at most 8 floats, and with longer ones, with which the dense product gains
/// more.
constexpr double kSparseFromBlocks = 0.6, kSparseFrom = 0.7, kSparseFromWide = 0.8;
/// Such a share asked for is met but for half a number, or block, of each weight.
constexpr double kSparseRounding = 1e-3;

/// Whether the sparse product is the faster one on this machine.
bool sparse_pays(const SparseWeight& weight);

/// y[m, M] = activation(x[m, K] weight^T + bias), row-major; bias may be null.
void multiply_sparse(const float* x, int64_t m, const SparseWeight& weight, const float* bias, Activation activation,
                     float* y);

}  // namespace cloze::cpu
