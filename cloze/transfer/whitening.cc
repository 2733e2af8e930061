#include "cloze/transfer/whitening.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "cloze/io/weights.h"

namespace cloze {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const FloatMatrix> as_matrix(const Tensor& x) {
  return {x.data<float>(), x.shape()[0], x.shape()[1]};
}

}  // namespace

Whitening fit_whitening(const Tensor& x, int64_t width) {
  const int64_t N = x.shape()[0], D = x.shape()[1];
  CLOZE_CHECK(N >= 2, ErrorCode::kValue, "whitening needs at least two rows to be fitted on, got {}", N);
  const Matrix rows = as_matrix(x).cast<double>();
  CLOZE_CHECK(rows.allFinite(), ErrorCode::kValue, "whitening: the vectors hold values that are not finite");
  const Eigen::RowVectorXd mean = rows.colwise().mean();
  const Matrix centred = rows.rowwise() - mean;
  const Matrix covariance = centred.transpose() * centred / static_cast<double>(N - 1);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(covariance);  // eigenvalues rise
  const double least = solver.eigenvalues()(D - 1) * 1e-7;         // below f32's noise there is no direction
  const int64_t varying = (solver.eigenvalues().array() > std::max(least, 1e-30)).count();
  CLOZE_CHECK(varying > 0, ErrorCode::kValue, "whitening: all {} vectors are the same", N);
  CLOZE_CHECK(width <= varying, ErrorCode::kValue,
              "whitening to width {}: the {} rows vary in {} directions only; fit on more rows, or ask for fewer",
              width, N, varying);
  const int64_t K = width == 0 ? varying : width;
  Whitening result{Tensor({D}, DType::kF32), Tensor({D, K}, DType::kF32)};
  for (int64_t d = 0; d < D; ++d) {
    result.mean.data<float>()[d] = static_cast<float>(mean(d));
    for (int64_t k = 0; k < K; ++k)
      result.kernel.data<float>()[d * K + k] =
          static_cast<float>(solver.eigenvectors()(d, D - 1 - k) / std::sqrt(solver.eigenvalues()(D - 1 - k)));
  }
  return result;
}

Tensor whiten(const Whitening& whitening, const Tensor& x) {
  const int64_t N = x.shape()[0], D = whitening.kernel.shape()[0], K = whitening.width();
  CLOZE_CHECK(x.shape()[1] == D, ErrorCode::kShape, "the whitening was fitted on vectors of width {}, not {}", D,
              x.shape()[1]);
  const Tensor y({N, K}, DType::kF32);
  const Eigen::Map<const Eigen::RowVectorXf> mean(whitening.mean.data<float>(), D);
  // Row by row: the bits of a row must not depend on how many come with it.
  for (int64_t n = 0; n < N; ++n)
    Eigen::Map<Eigen::RowVectorXf>(y.data<float>() + n * K, K).noalias() =
        (as_matrix(x).row(n) - mean) * as_matrix(whitening.kernel);
  return y;
}

void save_whitening(const Path& path, const Whitening& whitening) {
  write_safetensors(path, {{"mean", whitening.mean}, {"kernel", whitening.kernel}});
}

Whitening load_whitening(const Path& path) {
  Weights weights(path);
  const std::optional<Shape> kernel = weights.shape_of("kernel");
  CLOZE_CHECK(kernel && kernel->rank() == 2 && (*kernel)[0] > 0 && (*kernel)[1] > 0, ErrorCode::kFormat,
              "{}: no tensor \"kernel\" [D,K]: this is no whitening that cloze embed --save-whitening wrote",
              path.string());
  const Whitening whitening{weights.get("mean", Shape({(*kernel)[0]})), weights.get("kernel", *kernel)};
  check_finite(whitening.mean, "mean", path.string());
  check_finite(whitening.kernel, "kernel", path.string());
  return whitening;
}

}  // namespace cloze
