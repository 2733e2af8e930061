#include "cloze/ops/truncated_svd.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "cloze/backend/backend.h"
#include "cloze/base/rng.h"

namespace cloze {
namespace {

/// x[T,K] w[M,K]^T.
Tensor times_transposed(const Tensor& x, const Tensor& w) {
  const Tensor y({x.shape()[0], w.shape()[0]}, DType::kF32);
  backend().linear(
      {.x = x, .weight = w, .bias = {}, .activation = Activation::kNone, .prepared = nullptr, .pre = {}, .y = y});
  return y;
}

/// y[T,M]^T x[T,K].
Tensor transposed_times(const Tensor& y, const Tensor& x) {
  const Tensor product({y.shape()[1], x.shape()[1]}, DType::kF32);
  backend().linear_backward({.x = x,
                             .weight = product,  // for its shape: without dx it is not read
                             .pre = {},
                             .dy = y,
                             .activation = Activation::kNone,
                             .dx = {},
                             .dweight = product,
                             .dbias = {}});
  return product;
}

using Wide = Eigen::MatrixXd;
using Mapped = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Of a symmetric matrix [n,n]: values falling, vectors as rows.
struct Spectrum {
  std::vector<double> values;
  Wide rows;
};

Spectrum spectrum(const Tensor& symmetric) {
  const int64_t n = symmetric.shape()[0];
  const Eigen::SelfAdjointEigenSolver<Wide> solver(Mapped(symmetric.data<float>(), n, n).cast<double>());
  CLOZE_CHECK(solver.info() == Eigen::Success, ErrorCode::kValue, "[truncated_svd] the matrix has no decomposition");
  Spectrum result{std::vector<double>(n), solver.eigenvectors().rowwise().reverse().transpose()};
  for (int64_t i = 0; i < n; ++i) result.values[i] = solver.eigenvalues()[n - 1 - i];
  return result;
}

/// Whether the i-th value of a Gram matrix is more than what rounding leaves.
bool counts(const Spectrum& gram, int64_t i) {
  constexpr double kRounding = 1e-6;
  return gram.values[i] > kRounding * gram.values[0];
}

/// [n,n]: the i-th row is the i-th vector over the root of its value, or 0.
Tensor whitening(const Spectrum& gram) {
  const int64_t n = gram.rows.rows();
  const Tensor result = Tensor::full({n, n}, DType::kF32, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    if (!counts(gram, i)) continue;
    const double scale = 1 / std::sqrt(gram.values[i]);
    for (int64_t j = 0; j < n; ++j) result.data<float>()[i * n + j] = static_cast<float>(scale * gram.rows(i, j));
  }
  return result;
}

Tensor transposed(const Tensor& x) {
  const int64_t R = x.shape()[0], C = x.shape()[1];
  const Tensor result({C, R}, DType::kF32);
  for (int64_t r = 0; r < R; ++r)
    for (int64_t c = 0; c < C; ++c) result.data<float>()[c * R + r] = x.data<float>()[r * C + c];
  return result;
}

/// The first k of x's columns; of its rows.
Tensor first_columns(const Tensor& x, int64_t k) {
  const int64_t R = x.shape()[0], C = x.shape()[1];
  const Tensor result({R, k}, DType::kF32);
  for (int64_t r = 0; r < R; ++r) std::copy_n(x.data<float>() + r * C, k, result.data<float>() + r * k);
  return result;
}
Tensor first_rows(const Tensor& x, int64_t k) {
  const Tensor result({k, x.shape()[1]}, DType::kF32);
  std::copy_n(x.data<float>(), result.elements(), result.data<float>());
  return result;
}

Tensor random_rows(int64_t rows, int64_t columns, uint64_t seed) {
  const Tensor result({rows, columns}, DType::kF32);
  Rng rng(seed, RandomStream::kInit);
  for (float& value : result.values<float>()) value = static_cast<float>(rng.normal());
  return result;
}

}  // namespace

TruncatedSvd truncated_svd(const Tensor& matrix, int64_t k, uint64_t seed, int64_t iterations) {
  CLOZE_CHECK(matrix.shape().rank() == 2 && k >= 1 && k <= std::min(matrix.shape()[0], matrix.shape()[1]),
              ErrorCode::kShape, "[truncated_svd] {} vectors of a matrix {}", k, matrix.shape());
  CLOZE_CHECK(matrix.dtype() == DType::kF32, ErrorCode::kValue, "[truncated_svd] the matrix must be F32");
  CLOZE_CHECK(std::ranges::all_of(matrix.values<float>(), [](float x) { return std::isfinite(x); }), ErrorCode::kValue,
              "[truncated_svd] the matrix has a number that is not finite");
  constexpr int64_t kMore = 16;
  const int64_t M = matrix.shape()[0], N = matrix.shape()[1], K = std::min({k + kMore, M, N});
  Tensor v = random_rows(K, N, seed), y;
  Spectrum gram;
  Tensor turn;
  for (int64_t i = 0; i < std::max<int64_t>(1, iterations); ++i) {
    y = times_transposed(matrix, v);
    y = times_transposed(y, whitening(spectrum(transposed_times(y, y))));
    // With y's columns orthonormal, the spectrum of (y^T matrix) is the matrix's own, as far as y reaches.
    const Tensor seen = transposed_times(y, matrix);
    gram = spectrum(times_transposed(seen, seen));
    turn = whitening(gram);
    v = transposed_times(transposed(turn), seen);
  }
  // y W, where W's rows are the vectors of the last Gram matrix.
  for (int64_t i = 0; i < K; ++i)
    for (int64_t j = 0; j < K; ++j)
      turn.data<float>()[i * K + j] = counts(gram, i) ? static_cast<float>(gram.rows(i, j)) : 0.0F;
  TruncatedSvd result{first_columns(times_transposed(y, turn), k), std::vector<double>(k), first_rows(v, k)};
  for (int64_t i = 0; i < k; ++i) result.values[i] = counts(gram, i) ? std::sqrt(gram.values[i]) : 0;
  return result;
}

}  // namespace cloze
