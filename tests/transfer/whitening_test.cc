// Whitening: what it promises, and files that are not one.
#include "cloze/transfer/whitening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/rng.h"
#include "cloze/io/safetensors.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;

/// Rows whose components are mixed and of unlike size.
Tensor mixed_rows(int64_t N) {
  const Tensor x({N, 3}, DType::kF32);
  for (int64_t n = 0; n < N; ++n) {
    const auto words = philox(1, 0, 0, static_cast<uint64_t>(n));
    float u[3];
    for (int i = 0; i < 3; ++i) u[i] = static_cast<float>(words[static_cast<size_t>(i)] % 1000) / 500 - 1;
    float* row = x.data<float>() + n * 3;
    row[0] = 5 * u[0] + 100;
    row[1] = u[0] + 0.1F * u[1] - 3;
    row[2] = u[2] + 2 * u[1];
  }
  return x;
}

TEST(WhiteningTest, LeavesUncorrelatedComponentsOfVarianceOne) {
  const Tensor x = mixed_rows(500), y = whiten(fit_whitening(x, 0), x);
  ASSERT_EQ(y.shape(), x.shape());
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) {
      double sum = 0, mean = 0;
      for (int64_t n = 0; n < 500; ++n) {
        sum += static_cast<double>(y.data<float>()[n * 3 + a]) * static_cast<double>(y.data<float>()[n * 3 + b]);
        mean += static_cast<double>(y.data<float>()[n * 3 + a]);
      }
      EXPECT_NEAR(sum / 499, a == b ? 1 : 0, 1e-3) << a << " " << b;
      EXPECT_NEAR(mean / 500, 0, 1e-3);
    }
}

TEST(WhiteningTest, TwoPointsByHand) {
  // The mean is (1, 3), the only direction (3, 4) / 5, the variance 2 * 5^2 / 1.
  const Tensor x = Tensor::of(Shape({2, 2}), std::vector<float>{4, 7, -2, -1});
  const Whitening whitening = fit_whitening(x, 0);
  ASSERT_EQ(whitening.width(), 1);
  EXPECT_FLOAT_EQ(whitening.mean.data<float>()[0], 1);
  EXPECT_FLOAT_EQ(whitening.mean.data<float>()[1], 3);
  const Tensor y = whiten(whitening, x);
  EXPECT_NEAR(std::abs(y.data<float>()[0]), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(y.data<float>()[0], -y.data<float>()[1], 1e-6);
}

TEST(WhiteningTest, ARowDoesNotDependOnTheOthers) {
  const Tensor x = mixed_rows(50);
  const Whitening whitening = fit_whitening(x, 2);
  const Tensor all = whiten(whitening, x), one = whiten(whitening, x.rows(7, 8));
  EXPECT_TRUE(std::ranges::equal(all.rows(7, 8).values<float>(), one.values<float>()));
}

TEST(WhiteningTest, AsksForEnoughRows) {
  const Tensor x = mixed_rows(3);
  EXPECT_THAT(error_of([&] { fit_whitening(x.rows(0, 1), 0); }), HasSubstr("at least two rows"));
  EXPECT_THAT(error_of([&] { fit_whitening(x, 3); }), HasSubstr("vary in 2 directions only"));
  EXPECT_THAT(error_of([&] { fit_whitening(Tensor::full({4, 2}, DType::kF32, 1), 0); }), HasSubstr("are the same"));
  EXPECT_THAT(error_of([&] {
                fit_whitening(Tensor::full({4, 2}, DType::kF32, INFINITY), 0);
              }),
              HasSubstr("not finite"));
}

TEST(WhiteningTest, IsReadBackAsWritten) {
  const test::TemporaryFolder folder;
  const Path path = folder.path() / "w.safetensors";
  const Tensor x = mixed_rows(20);
  const Whitening whitening = fit_whitening(x, 2);
  save_whitening(path, whitening);
  EXPECT_TRUE(
      std::ranges::equal(whiten(load_whitening(path), x).values<float>(), whiten(whitening, x).values<float>()));
  EXPECT_THAT(error_of([&] { whiten(whitening, Tensor::zeros({2, 4}, DType::kF32)); }), HasSubstr("width 3, not 4"));
}

TEST(WhiteningTest, OtherFilesAreRefused) {
  const test::TemporaryFolder folder;
  const Path path = folder.path() / "w.safetensors";
  const Tensor mean = Tensor::zeros({2}, DType::kF32), kernel = Tensor::zeros({2, 2}, DType::kF32);
  const auto expect_error = [&](const std::vector<NamedTensor>& tensors, const char* words) {
    write_safetensors(path, tensors);
    EXPECT_THAT(error_of([&] { load_whitening(path); }), HasSubstr(words));
  };
  expect_error({{"mean", mean}}, "no tensor \"kernel\"");
  expect_error({{"kernel", mean}, {"mean", mean}}, "no tensor \"kernel\"");
  expect_error({{"kernel", kernel}}, "mean");
  expect_error({{"kernel", kernel}, {"mean", Tensor::zeros({3}, DType::kF32)}}, "mean");
  expect_error({{"kernel", kernel}, {"mean", Tensor::full({2}, DType::kF32, NAN)}}, "NaN");
}

}  // namespace
}  // namespace cloze
