// truncated_svd against matrices whose values and vectors are known.
#include "cloze/ops/truncated_svd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/thread_team.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::error_of;
using test::normal_tensor;
using ::testing::HasSubstr;

double at(const Tensor& x, int64_t r, int64_t c) {
  return x.data<float>()[r * x.shape()[1] + c];
}

/// Largest distance of u's columns and v's rows from orthonormal ones, of the first k.
double disorder(const TruncatedSvd& svd, int64_t k) {
  double worst = 0;
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < k; ++j) {
      double u = 0, v = 0;
      for (int64_t r = 0; r < svd.u.shape()[0]; ++r) u += at(svd.u, r, i) * at(svd.u, r, j);
      for (int64_t c = 0; c < svd.v.shape()[1]; ++c) v += at(svd.v, i, c) * at(svd.v, j, c);
      worst = std::max({worst, std::abs(u - (i == j)), std::abs(v - (i == j))});
    }
  return worst;
}

/// Frobenius norm of matrix - u diag(values) v.
double residual(const Tensor& matrix, const TruncatedSvd& svd) {
  double sum = 0;
  for (int64_t r = 0; r < matrix.shape()[0]; ++r)
    for (int64_t c = 0; c < matrix.shape()[1]; ++c) {
      double rest = at(matrix, r, c);
      for (size_t i = 0; i < svd.values.size(); ++i)
        rest -= at(svd.u, r, static_cast<int64_t>(i)) * svd.values[i] * at(svd.v, static_cast<int64_t>(i), c);
      sum += rest * rest;
    }
  return std::sqrt(sum);
}

/// Of rank `rank`, from normal factors.
Tensor low_rank(int64_t M, int64_t N, int64_t rank) {
  const Tensor a = normal_tensor({M, rank}, 1, 1, 0, DType::kF32), b = normal_tensor({rank, N}, 2, 1, 0, DType::kF32);
  const Tensor product({M, N}, DType::kF32);
  for (int64_t r = 0; r < M; ++r)
    for (int64_t c = 0; c < N; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < rank; ++k) sum += at(a, r, k) * at(b, k, c);
      product.data<float>()[r * N + c] = static_cast<float>(sum);
    }
  return product;
}

TEST(TruncatedSvd, FindsTheValuesOfADiagonal) {
  const Tensor matrix = Tensor::full({40, 60}, DType::kF32, 0.0);
  for (int64_t i = 0; i < 40; ++i) matrix.data<float>()[i * 60 + (i * 7 % 40)] = static_cast<float>(std::pow(0.8, i));
  const TruncatedSvd svd = truncated_svd(matrix, 6, 3, 8);
  ASSERT_EQ(svd.u.shape(), Shape({40, 6}));
  ASSERT_EQ(svd.v.shape(), Shape({6, 60}));
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(svd.values[i], std::pow(0.8, i), 1e-5);
    EXPECT_NEAR(std::abs(at(svd.u, i, i)), 1, 1e-4);
    EXPECT_NEAR(at(svd.u, i, i) * at(svd.v, i, i * 7 % 40), 1, 1e-4) << "signs that agree";
  }
  EXPECT_LT(disorder(svd, 6), 1e-5);
}

TEST(TruncatedSvd, GivesBackAMatrixOfThatRank) {
  for (const auto& [M, N] : {std::pair<int64_t, int64_t>{50, 33}, {33, 50}, {200, 30}, {9, 9}}) {
    const Tensor matrix = low_rank(M, N, 7);
    const TruncatedSvd svd = truncated_svd(matrix, 7, 1);
    EXPECT_LT(residual(matrix, svd), 1e-3) << M << "x" << N;
    EXPECT_LT(disorder(svd, 7), 1e-4);
    EXPECT_TRUE(std::ranges::is_sorted(svd.values, std::greater<>()));
  }
}

TEST(TruncatedSvd, SaysWhereTheRankEnds) {
  const TruncatedSvd svd = truncated_svd(low_rank(40, 30, 3), 8, 1);
  EXPECT_GT(svd.values[2], 1);
  for (size_t i = 3; i < 8; ++i) {
    EXPECT_EQ(svd.values[i], 0);
    for (int64_t r = 0; r < 40; ++r) EXPECT_EQ(at(svd.u, r, static_cast<int64_t>(i)), 0);
  }
  const TruncatedSvd nothing = truncated_svd(Tensor::full({5, 4}, DType::kF32, 0.0), 2, 1);
  EXPECT_EQ(nothing.values, (std::vector<double>{0, 0}));
  for (const float x : nothing.v.values<float>()) EXPECT_EQ(x, 0);
}

TEST(TruncatedSvd, LeavesWhatTheSmallerValuesHold) {
  // The best form of rank k misses exactly the root of the other values' squares (Eckart and Young).
  const Tensor matrix = normal_tensor({60, 24}, 5, 1, 0, DType::kF32);
  const TruncatedSvd whole = truncated_svd(matrix, 24, 1), part = truncated_svd(matrix, 5, 1, 20);
  double rest = 0;
  for (size_t i = 5; i < 24; ++i) rest += whole.values[i] * whole.values[i];
  EXPECT_LT(residual(matrix, whole), 1e-4);
  EXPECT_NEAR(residual(matrix, part), std::sqrt(rest), 1e-3);
}

TEST(TruncatedSvd, HasTheSameBitsForAnyNumberOfThreads) {
  const Tensor matrix = normal_tensor({300, 90}, 5, 1, 0, DType::kF32);
  set_thread_count(1);
  const TruncatedSvd one = truncated_svd(matrix, 10, 1);
  set_thread_count(3);
  const TruncatedSvd three = truncated_svd(matrix, 10, 1);
  set_thread_count(0);
  EXPECT_EQ(one.values, three.values);
  EXPECT_TRUE(std::ranges::equal(one.u.values<float>(), three.u.values<float>()));
}

TEST(TruncatedSvd, RefusesWhatHasNone) {
  const auto refusal = [](const Tensor& matrix, int64_t k) { return error_of([&] { truncated_svd(matrix, k, 1); }); };
  const Tensor matrix = Tensor::full({3, 4}, DType::kF32, 1);
  EXPECT_THAT(refusal(matrix, 4), HasSubstr("4 vectors of a matrix [3, 4]"));
  EXPECT_THAT(refusal(matrix, 0), HasSubstr("0 vectors"));
  EXPECT_THAT(refusal(Tensor::full({3, 4}, DType::kF64, 1), 2), HasSubstr("must be F32"));
  EXPECT_THAT(refusal(Tensor::full({3, 4}, DType::kF32, std::nan("")), 2), HasSubstr("not finite"));
}

}  // namespace
}  // namespace cloze
