// Weights that are mostly zeros: what is not zero, and where it stands.
#pragma once

#include "cloze/backend/compact.h"

namespace cloze {

/// Rows that are multiplied together where their numbers stand in the same places.
constexpr int64_t kSparseGroup = 4;

/// weight[M,K] by its rows.
struct SparseWeight : CompactWeight {
  int64_t depth = 0, columns = 0;  ///< K, M
  Tensor starts;                   ///< [M+1] I64: where each row's numbers begin
  Tensor places;                   ///< I32: their k, rising
  Tensor values;                   ///< F32
  Tensor shared;  ///< [M/4, rounded up] U8: 1 where rows 4i to 4i+3 have the same places: zeros chosen in blocks

  Shape shape() const override { return {columns, depth}; }
  Tensor expand() const override;
  /// Share of zeros.
  double zeros() const;
  /// Share of the rows that stand in groups with the same places.
  double shared_rows() const;
};

/// Share of zeros of an F32 tensor.
double zero_share(const Tensor& weight);

/// Of weight[M,K] F32.
SparseWeight sparse_weight(const Tensor& weight);
/// From what a file holds: bits [M, ceil(K/8)] U8, the lowest first, say which of the K numbers of a row are there,
/// values [n] F32 give them row by row. Errors: kShape for K above 2^31 - 1; kValue where the bits are not n, or some
/// stand beyond K.
SparseWeight sparse_weight(const Tensor& bits, const Tensor& values, int64_t depth);
/// The bits of a sparse weight, as above.
Tensor sparse_bits(const SparseWeight& weight);
/// The rows of all of them, one below the other. They have the same K.
SparseWeight join_sparse(std::span<const SparseWeight* const> parts);

}  // namespace cloze
