// The bf16 products of training: rounding by hand, cpu against ref with and without the processor's instruction, their
// error against f32, and their bits.
#include "cloze/backend/bf16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cloze/backend/cpu/gemm_bf16.h"
#include "cloze/base/thread_team.h"
#include "compare.h"
#include "random_tensor.h"
#include "simd_target.h"

namespace cloze::test {
namespace {

struct Layer {
  Layer(int64_t tokens, int64_t inputs, int64_t outputs)
      : x(random_f32({tokens, inputs}, 1)),
        weight(random_f32({outputs, inputs}, 2, 0.1)),
        bias(random_f32({outputs}, 3)),
        dy(random_f32({tokens, outputs}, 4)) {}
  Tensor x, weight, bias, dy;
};

struct Results {
  Tensor pre, y, dx, dweight, dbias;
  std::vector<std::pair<const char*, Tensor>> named() const {
    return {{"pre", pre}, {"y", y}, {"dx", dx}, {"dweight", dweight}, {"dbias", dbias}};
  }
};

/// Forward and backward. The backward pass reads the pre of `from`, lest a difference of the forward pass count twice.
Results both_ways(const Backend& backend, const Layer& layer, Precision precision, const Tensor& from = {}) {
  const auto empty = [](const Shape& shape) { return Tensor::full(shape, DType::kF32, std::nan("")); };
  const Results r{empty(layer.dy.shape()), empty(layer.dy.shape()), empty(layer.x.shape()), empty(layer.weight.shape()),
                  empty(layer.bias.shape())};
  backend.linear({.x = layer.x,
                  .weight = layer.weight,
                  .bias = layer.bias,
                  .activation = Activation::kGelu,
                  .prepared = nullptr,
                  .pre = r.pre,
                  .y = r.y,
                  .precision = precision});
  backend.linear_backward({.x = layer.x,
                           .weight = layer.weight,
                           .pre = from.defined() ? from : r.pre,
                           .dy = layer.dy,
                           .activation = Activation::kGelu,
                           .dx = r.dx,
                           .dweight = r.dweight,
                           .dbias = r.dbias,
                           .precision = precision});
  return r;
}

TEST(Bf16, Rounding) {
  const float inf = std::numeric_limits<float>::infinity();
  // 8 bits of mantissa: between 256 and 512 the neighbours are 2 apart; halfway goes to the even one.
  const std::vector<float> x = {0, 1, 256, 257, 257.001f, 258, 259, -257, -259, 0x1.fep127f, 0x1.ffp127f, inf, -inf};
  const std::vector<float> rounded = {0, 1, 256, 256, 258, 258, 260, -256, -260, 0x1.fep127f, inf, inf, -inf};
  for (const int64_t target : simd_targets()) {
    const SimdTarget chosen(target);
    const Tensor y = cpu::round_to_bf16(Tensor::of({static_cast<int64_t>(x.size())}, x));
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(round_bf16(x[i]), rounded[i]) << x[i];
      EXPECT_EQ(y.data<float>()[i], rounded[i]) << x[i] << " on " << simd_target_name(target);
    }
  }
  for (const uint32_t bits : {0x7FC00000u, 0x7F800001u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_TRUE(std::isnan(round_bf16(std::bit_cast<float>(bits)))) << bits;
    const Tensor nan = Tensor::of({1}, std::vector<float>{std::bit_cast<float>(bits)});
    EXPECT_TRUE(std::isnan(cpu::round_to_bf16(nan).data<float>()[0])) << bits;
  }
}

/// Both paths: AVX-512 with the instruction, where the processor has it, and all other targets without.
TEST(Bf16, CpuAgreesWithRefOnEverySimdTarget) {
  const int64_t shapes[][3] = {{1, 1, 1},     {3, 1, 2},      {1, 7, 33},    {13, 33, 7},   {5, 66, 64},
                               {12, 64, 17},  {27, 67, 1},    {40, 96, 80},  {9, 768, 100}, {31, 200, 97},
                               {100, 13, 70}, {1100, 17, 35}, {301, 96, 64}, {0, 5, 3},     {7, 600, 300}};
  for (const auto& [T, K, M] : shapes) {
    const Layer layer(T, K, M);
    const Results expected = both_ways(ref_backend(), layer, Precision::kBF16);
    for (const int64_t target : simd_targets()) {
      const SimdTarget chosen(target);
      const Results got = both_ways(cpu_backend(), layer, Precision::kBF16, expected.pre);
      const auto wanted = expected.named(), found = got.named();
      // dpre differs by an ulp now and then, and that can round to the next bf16: 2^-8 of one term of the sum.
      for (size_t n = 0; n < wanted.size(); ++n) {
        const auto& [name, want] = wanted[n];
        const Tensor& have = found[n].second;
        const double terms = n < 2 ? K : n == 2 ? M : T, jump = n == 2 || n == 3 ? 0.02 : 0;
        for (int64_t i = 0; i < want.elements(); ++i)
          ASSERT_NEAR(have.data<float>()[i], want.data<float>()[i], jump + 4e-7 * (terms + 30))
              << name << " of " << T << "x" << K << "x" << M << " element " << i << " on " << simd_target_name(target);
      }
    }
  }
}

TEST(Bf16, NoActivationIsExactForSmallIntegers) {
  const int64_t T = 37, K = 45, M = 50;
  Layer layer(T, K, M);
  for (const Tensor& tensor : {layer.x, layer.weight, layer.bias, layer.dy})
    for (float& value : tensor.values<float>()) value = std::round(value * 20);
  for (const int64_t target : simd_targets()) {
    const SimdTarget chosen(target);
    std::vector<Tensor> results[2];
    for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
      const Tensor y({T, M}, DType::kF32), dx({T, K}, DType::kF32), dweight({M, K}, DType::kF32);
      cpu_backend().linear({.x = layer.x,
                            .weight = layer.weight,
                            .bias = layer.bias,
                            .activation = Activation::kNone,
                            .prepared = nullptr,
                            .pre = {},
                            .y = y,
                            .precision = precision});
      cpu_backend().linear_backward({.x = layer.x,
                                     .weight = layer.weight,
                                     .pre = {},
                                     .dy = layer.dy,
                                     .activation = Activation::kNone,
                                     .dx = dx,
                                     .dweight = dweight,
                                     .dbias = {},
                                     .precision = precision});
      results[precision == Precision::kBF16] = {y, dx, dweight};
    }
    for (size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(same_bits(results[0][i], results[1][i])) << i << " on " << simd_target_name(target);
  }
}

double relative_error(const Tensor& got, const Tensor& exact) {
  double error = 0, power = 0;
  for (int64_t i = 0; i < exact.elements(); ++i) {
    const double e = exact.data<float>()[i];
    error += std::pow(got.data<float>()[i] - e, 2);
    power += e * e;
  }
  return std::sqrt(error / power);
}

TEST(Bf16, ErrorAgainstF32IsThatOfTheRounding) {
  const Layer layer(200, 256, 192);
  const Results exact = both_ways(cpu_backend(), layer, Precision::kF32);
  const Results got = both_ways(cpu_backend(), layer, Precision::kBF16);
  for (size_t n = 0; n < exact.named().size(); ++n) {
    const double error = relative_error(got.named()[n].second, exact.named()[n].second);
    EXPECT_LT(error, 0.01) << exact.named()[n].first;
    EXPECT_GT(error, 1e-5) << exact.named()[n].first << ": was anything rounded?";
  }
}

TEST(Bf16, SameBitsOnAnyThreadsAndForAnyRowsBeside) {
  const Layer layer(1200, 96, 160);
  const Results all = both_ways(cpu_backend(), layer, Precision::kBF16);
  for (const int threads : {1, 2, 3, 4}) {
    set_thread_count(threads);
    const Results again = both_ways(cpu_backend(), layer, Precision::kBF16);
    for (size_t n = 0; n < all.named().size(); ++n)
      EXPECT_TRUE(same_bits(again.named()[n].second, all.named()[n].second)) << all.named()[n].first << " " << threads;
    Layer some = layer;
    some.x = layer.x.rows(13, 113);
    some.dy = layer.dy.rows(13, 113);
    const Results few = both_ways(cpu_backend(), some, Precision::kBF16);
    EXPECT_TRUE(same_bits(few.y, all.y.rows(13, 113))) << threads;
    EXPECT_TRUE(same_bits(few.dx, all.dx.rows(13, 113))) << threads;
  }
  set_thread_count(0);
}

}  // namespace
}  // namespace cloze::test
