#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "cloze/tensor/tensor.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor half_tensor(const std::vector<uint16_t>& bits) {
  const Tensor tensor({static_cast<int64_t>(bits.size())}, DType::kF16);
  std::ranges::copy(bits, tensor.data<uint16_t>());
  return tensor;
}
uint32_t f16_bits(uint16_t bits) {
  return std::bit_cast<uint32_t>(to_float(half_tensor({bits}), DType::kF32).data<float>()[0]);
}
uint32_t bf16_bits(uint16_t bits) {
  return std::bit_cast<uint32_t>(to_float(Tensor::of<uint16_t>({1}, {bits}), DType::kF32).data<float>()[0]);
}

TEST(ToFloat, F16LiteralBits) {
  EXPECT_EQ(f16_bits(0x0000), 0x00000000u) << "0";
  EXPECT_EQ(f16_bits(0x8000), 0x80000000u) << "-0";
  EXPECT_EQ(f16_bits(0x3C00), 0x3F800000u) << "1";
  EXPECT_EQ(f16_bits(0x3C01), 0x3F802000u) << "1 + 2^-10";
  EXPECT_EQ(f16_bits(0xC000), 0xC0000000u) << "-2";
  EXPECT_EQ(f16_bits(0x3555), 0x3EAAA000u) << "1/3";
  EXPECT_EQ(f16_bits(0x7BFF), 0x477FE000u) << "65504, the largest";
  EXPECT_EQ(f16_bits(0xFBFF), 0xC77FE000u) << "-65504";
  EXPECT_EQ(f16_bits(0x0400), 0x38800000u) << "2^-14, the smallest normal";
  EXPECT_EQ(f16_bits(0x03FF), 0x387FC000u) << "the largest subnormal";
  EXPECT_EQ(f16_bits(0x0001), 0x33800000u) << "2^-24, the smallest subnormal";
  EXPECT_EQ(f16_bits(0x8001), 0xB3800000u) << "-2^-24";
  EXPECT_EQ(f16_bits(0x7C00), 0x7F800000u) << "inf";
  EXPECT_EQ(f16_bits(0xFC00), 0xFF800000u) << "-inf";
  EXPECT_EQ(f16_bits(0x7E00), 0x7FC00000u) << "NaN";
  EXPECT_EQ(f16_bits(0xFE01), 0xFFC02000u) << "NaN with sign and payload";
}

TEST(ToFloat, Bf16LiteralBits) {
  EXPECT_EQ(bf16_bits(0x0000), 0x00000000u) << "0";
  EXPECT_EQ(bf16_bits(0x8000), 0x80000000u) << "-0";
  EXPECT_EQ(bf16_bits(0x3F80), 0x3F800000u) << "1";
  EXPECT_EQ(bf16_bits(0xC049), 0xC0490000u) << "-3.140625";
  EXPECT_EQ(bf16_bits(0x7F7F), 0x7F7F0000u) << "the largest";
  EXPECT_EQ(bf16_bits(0x0080), 0x00800000u) << "the smallest normal";
  EXPECT_EQ(bf16_bits(0x0001), 0x00010000u) << "the smallest subnormal";
  EXPECT_EQ(bf16_bits(0x7F80), 0x7F800000u) << "inf";
  EXPECT_EQ(bf16_bits(0xFF80), 0xFF800000u) << "-inf";
  EXPECT_EQ(bf16_bits(0x7FC0), 0x7FC00000u) << "NaN";
}

TEST(ToFloat, EveryF16ValueByItsDefinition) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    float expected = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                   : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    if (exponent == 31) expected = fraction == 0 ? kInfinity : std::numeric_limits<float>::quiet_NaN();
    if ((bits & 0x8000) != 0) expected = -expected;
    const float found = to_float(half_tensor({static_cast<uint16_t>(bits)}), DType::kF32).data<float>()[0];
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(found)) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

TEST(ToFloat, SameTypeIsTheSameMemory) {
  const Tensor single = Tensor::of<float>({1}, {1}), twice = Tensor::of<double>({1}, {1});
  EXPECT_EQ(to_float(single, DType::kF32).raw(), single.raw());
  EXPECT_EQ(to_float(twice, DType::kF64).raw(), twice.raw());
}

TEST(ToFloat, ConvertsBetweenSingleAndDouble) {
  EXPECT_THAT(to_float(Tensor::of<double>({3}, {0.1, 1e300, -0.0}), DType::kF32).values<float>(),
              ElementsAre(0.1f, kInfinity, 0.0f));
  EXPECT_THAT(to_float(Tensor::of<float>({1}, {0.1f}), DType::kF64).values<double>(), ElementsAre(double{0.1f}));
  EXPECT_THAT(to_float(half_tensor({0x0001, 0xC000}), DType::kF64).values<double>(), ElementsAre(0x1p-24, -2.0));
  EXPECT_EQ(to_float(Tensor::of<float>({2, 0, 3}, {}), DType::kF64).shape(), Shape({2, 0, 3}));
}

TEST(ToFloat, RefusesIntegersAndOtherTargets) {
  const auto code = [](const Tensor& source, DType dtype) {
    try {
      (void)to_float(source, dtype);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kUsage;  // no error at all
  };
  EXPECT_EQ(code(Tensor::of<int64_t>({1}, {1}), DType::kF32), ErrorCode::kUnsupported);
  EXPECT_EQ(code(Tensor::of<uint8_t>({1}, {1}), DType::kF32), ErrorCode::kUnsupported);
  EXPECT_EQ(code(Tensor::of<float>({1}, {1}), DType::kF16), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace cloze
