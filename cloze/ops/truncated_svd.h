// The best low-rank form of a matrix.
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/tensor/tensor.h"

namespace cloze {

/// matrix[M,N] ~ u[M,k] diag(values) v[k,N]: u's columns and v's rows are orthonormal, values fall. All F32.
struct TruncatedSvd {
  Tensor u;
  std::vector<double> values;  ///< 0 beyond the matrix's rank, where u's column and v's row are 0
  Tensor v;
};

/// The k largest singular values and their vectors, by subspace iteration from random rows (Halko, Martinsson and
/// Tropp, "Finding Structure with Randomness", 2011, algorithms 4.4 and 5.1), with 16 more rows than asked and
/// `iterations` passes over the matrix. Signs are free; the same bits for the same seed. Not recorded.
/// Errors: kShape unless the matrix is [M,N] and 1 <= k <= min(M, N); kValue unless it is F32 and finite.
TruncatedSvd truncated_svd(const Tensor& matrix, int64_t k, uint64_t seed, int64_t iterations = 5);

}  // namespace cloze
