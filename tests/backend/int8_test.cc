// The 8-bit product: the formula by hand, cpu against ref on every SIMD target, its error, and its bits.
#include "cloze/backend/int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/thread_team.h"
#include "compare.h"
#include "random_tensor.h"
#include "simd_target.h"

namespace cloze::test {
namespace {

Tensor product(const Backend& backend, const Tensor& x, const PreparedWeight& weight, int64_t outputs,
               const Tensor& bias = {}, Activation activation = Activation::kNone) {
  const Tensor y = Tensor::full({x.shape()[0], outputs}, DType::kF32, std::nan(""));
  backend.linear(
      {.x = x, .weight = {}, .bias = bias, .activation = activation, .prepared = &weight, .pre = {}, .y = y});
  return y;
}

TEST(Int8, WeightsByChannel) {
  const Int8Weight q = quantize_weight(Tensor::of({3, 4}, std::vector<float>{-254, 127, 1, 2.9f,  //
                                                                             0, 0, 0, 0,          //
                                                                             0.5f, -1, 0.25f, 0}));
  const int8_t* values = q.values.data<int8_t>();
  EXPECT_EQ(std::vector<int>(values, values + 12),
            (std::vector<int>{-127, 64, 0, 1, 0, 0, 0, 0, 64, -127, 32, 0}));  // 63.5 and 0.5 go to the even side
  EXPECT_EQ(q.scales.data<float>()[0], 2);
  EXPECT_EQ(q.scales.data<float>()[1], 0);
  EXPECT_EQ(q.sums.data<int32_t>()[0], -62);
  EXPECT_EQ(q.sums.data<int32_t>()[2], -31);
}

TEST(Int8, InputsByRow) {
  const RowScale row = row_scale(-51, 204);
  EXPECT_EQ(row.scale, 1);
  EXPECT_EQ(row.zero, 51);
  EXPECT_EQ(row_scale(0, 0).scale, 0);
  EXPECT_EQ(row_scale(0, 0).inverse, 0);
  EXPECT_EQ(row_scale(0, 1e-38f).inverse, 0) << "too small to divide by";
  EXPECT_EQ(row_scale(-1, 0).zero, 255);
  // Exact where every number is one of the integers: x = 1 * (u - 51), w = 2 q.
  const Tensor x = Tensor::of({2, 3}, std::vector<float>{-51, 204, 7, 0, 0, 0});
  const Tensor w = Tensor::of({2, 3}, std::vector<float>{254, -2, 4, 0, 127, 1});
  for (const Backend* backend : {&ref_backend(), &cpu_backend()}) {
    const auto prepared = backend->prepare(w, Precision::kInt8);
    const Tensor y = product(*backend, x, *prepared, 2, Tensor::of({2}, std::vector<float>{10, 20}));
    EXPECT_EQ(y.data<float>()[0], -51 * 254 - 2 * 204 + 4 * 7 + 10);
    EXPECT_EQ(y.data<float>()[1], 127 * 204 + 7 + 20);
    EXPECT_EQ(y.data<float>()[2], 10) << "a row of zeros";
    EXPECT_EQ(y.data<float>()[3], 20);
  }
}

TEST(Int8, Errors) {
  EXPECT_THROW(quantize_weight(Tensor::zeros({1, kMostInt8Inputs + 1}, DType::kF32)), Error);
  EXPECT_THROW(quantize_weight(Tensor::of({1, 2}, std::vector<float>{1, INFINITY})), Error);
}

/// The sums are exact integers, so cpu and ref differ by the rounding of a few operations at the end. The largest sums
/// (255 x 127 in every place) would overflow 16 bits at once.
TEST(Int8, CpuAgreesWithRefOnEverySimdTarget) {
  const int64_t shapes[][3] = {{0, 7, 5},   {3, 1, 1},    {1, 7, 33},    {13, 33, 7},   {5, 66, 64},  {12, 64, 17},
                               {27, 67, 1}, {40, 96, 80}, {9, 768, 100}, {6, 3072, 31}, {100, 13, 70}};
  for (const auto& [T, K, M] : shapes) {
    const Tensor x = random_f32({T, K}, 1), bias = random_f32({M}, 3);
    Tensor w = random_f32({M, K}, 2);
    for (int64_t t = 0; t < std::min<int64_t>(T, 2); ++t)
      for (int64_t k = 0; k < K; ++k) x.data<float>()[t * K + k] = t == 0 ? 5.0f : -5.0f;
    for (int64_t k = 0; k < K; ++k) w.data<float>()[k] = k % 2 == 0 || M > 1 ? 1.0f : -1.0f;
    const Tensor expected =
        product(ref_backend(), x, *ref_backend().prepare(w, Precision::kInt8), M, bias, Activation::kGelu);
    for (const int64_t target : simd_targets()) {
      const SimdTarget chosen(target);
      const auto prepared = cpu_backend().prepare(w, Precision::kInt8);
      const Tensor y = product(cpu_backend(), x, *prepared, M, bias, Activation::kGelu);
      for (int64_t i = 0; i < y.elements(); ++i)
        ASSERT_NEAR(y.data<float>()[i], expected.data<float>()[i],
                    1e-6 * (static_cast<double>(K) + std::abs(expected.data<float>()[i])))
            << T << "x" << K << "x" << M << " element " << i << " on " << simd_target_name(target);
    }
  }
}

/// Each x is off by at most s / 2 (at the clamped ends s), each w by at most scale / 2.
TEST(Int8, ErrorIsThatOfTheRounding) {
  const int64_t T = 20, K = 256, M = 48;
  const Tensor x = random_f32({T, K}, 1), w = random_f32({M, K}, 2, 0.1);
  const Int8Weight q = quantize_weight(w);
  const Tensor y = product(cpu_backend(), x, *cpu_backend().prepare(w, Precision::kInt8), M);
  double worst = 0, power = 0;
  for (int64_t t = 0; t < T; ++t) {
    const float* row = x.data<float>() + t * K;
    const double s = row_scale(*std::min_element(row, row + K), *std::max_element(row, row + K)).scale;
    for (int64_t m = 0; m < M; ++m) {
      const double scale = static_cast<double>(q.scales.data<float>()[m]);
      double exact = 0, bound = 1e-5;
      for (int64_t k = 0; k < K; ++k) {
        const double a = row[k], b = w.data<float>()[m * K + k];
        exact += a * b;
        bound += std::abs(a) * scale / 2 + (std::abs(b) + scale / 2) * s;
      }
      const double error = std::abs(y.data<float>()[t * M + m] - exact);
      ASSERT_LE(error, bound);
      worst = std::max(worst, error);
      power += exact * exact;
    }
  }
  EXPECT_LT(worst, 0.05 * std::sqrt(power / static_cast<double>(T * M))) << "errors cancel: far below the bound";
}

TEST(Int8, FixedInputsAreTheSameForAllRowsAndClamp) {
  Int8Weight w = quantize_weight(Tensor::of({1, 2}, std::vector<float>{127, -127}));
  w.inputs = stored_scale(0.5f, 100);  // -50 to 77.5
  const Tensor x = Tensor::of({3, 2}, std::vector<float>{10, 2, 1000, -1e30f, 0.2f, 0.3f});
  for (const Backend* backend : {&ref_backend(), &cpu_backend()}) {
    const Tensor y = product(*backend, x, *backend->prepare(w), 1);
    EXPECT_EQ(y.data<float>()[0], 127 * 8);
    EXPECT_EQ(y.data<float>()[1], 127 * (77.5f + 50));
    EXPECT_EQ(y.data<float>()[2], 127 * (0.0f - 0.5f)) << "0.4 and 0.6 of a step";
  }
  const Tensor many = random_f32({29, 133}, 1, 3), weight = random_f32({21, 133}, 2);
  Int8Weight q = quantize_weight(weight);
  q.inputs = row_scale(-4, 2);
  const Tensor expected = product(ref_backend(), many, *ref_backend().prepare(q), 21);
  for (const int64_t target : simd_targets()) {
    const SimdTarget chosen(target);
    EXPECT_TRUE(same_bits(product(cpu_backend(), many, *cpu_backend().prepare(q), 21), expected))
        << simd_target_name(target);
  }
  const Int8Weight free = quantize_weight(weight);
  Int8Weight other = q;
  other.inputs = row_scale(-4, 3);
  EXPECT_EQ(join_int8(std::vector<const Int8Weight*>{&q, &q}).inputs, q.inputs);
  EXPECT_EQ(join_int8(std::vector<const Int8Weight*>{&q, &other}).inputs, std::nullopt);
  EXPECT_EQ(join_int8(std::vector<const Int8Weight*>{&q, &free}).inputs, std::nullopt);
}

TEST(Int8, RangesCoverWithZero) {
  InputRange range;
  range.cover(Tensor::of({2}, std::vector<float>{3, 1}));
  EXPECT_EQ(range.lo, 0);
  range.cover(Tensor::of({1}, std::vector<float>{-2}));
  EXPECT_EQ(range.lo, -2);
  EXPECT_EQ(range.hi, 3);
  EXPECT_EQ(stored_scale(0, 5).inverse, 0);
}

TEST(Int8, ARowHasItsBitsInAnyCompanyAndOnAnyThreads) {
  const int64_t T = 200, K = 192, M = 160;
  const Tensor x = random_f32({T, K}, 1), w = random_f32({M, K}, 2), bias = random_f32({M}, 3);
  const auto prepared = cpu_backend().prepare(w, Precision::kInt8);
  const Tensor all = product(cpu_backend(), x, *prepared, M, bias, Activation::kGelu);
  for (const int threads : {1, 2, 3, 4}) {
    set_thread_count(threads);
    EXPECT_TRUE(same_bits(product(cpu_backend(), x, *prepared, M, bias, Activation::kGelu), all)) << threads;
    for (const auto& [begin, end] : {std::pair{0, 1}, {7, 8}, {50, 65}, {13, 113}, {199, 200}})
      EXPECT_TRUE(same_bits(product(cpu_backend(), x.rows(begin, end), *prepared, M, bias, Activation::kGelu),
                            all.rows(begin, end)))
          << threads << " threads, rows " << begin << " to " << end;
  }
  set_thread_count(0);
}

}  // namespace
}  // namespace cloze::test
