// F32 to F16 and BF16: literal bits, rounding, and every half there and back.
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>

#include "cloze/tensor/tensor.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;

constexpr float kInf = std::numeric_limits<float>::infinity();

Tensor single(float value) {
  return Tensor::of<float>({1}, {value});
}
uint16_t half_bits(float value, DType dtype) {
  return *static_cast<const uint16_t*>(to_half(single(value), dtype).raw());
}
uint16_t f16(float value) {
  return half_bits(value, DType::kF16);
}
uint16_t bf16(float value) {
  return half_bits(value, DType::kBF16);
}

TEST(ToHalf, F16LiteralBits) {
  EXPECT_EQ(f16(0.0f), 0x0000);
  EXPECT_EQ(f16(-0.0f), 0x8000);
  EXPECT_EQ(f16(1.0f), 0x3C00);
  EXPECT_EQ(f16(-2.0f), 0xC000);
  EXPECT_EQ(f16(1.0f / 3), 0x3555);
  EXPECT_EQ(f16(65504.0f), 0x7BFF);
  EXPECT_EQ(f16(std::nextafter(65520.0f, 0.0f)), 0x7BFF) << "the last that rounds down";
  EXPECT_EQ(f16(0x1p-14f), 0x0400) << "the smallest normal";
  EXPECT_EQ(f16(std::nextafter(0x1p-14f, 0.0f)), 0x0400) << "rounds up to it";
  EXPECT_EQ(f16(0x1p-24f), 0x0001) << "the smallest subnormal";
  EXPECT_EQ(f16(-0x1.8p-24f), 0x8002) << "a tie, to even";
  EXPECT_EQ(f16(0x1p-25f), 0x0000) << "a tie, to even";
  EXPECT_EQ(f16(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(f16(1e-30f), 0x0000);
  EXPECT_EQ(f16(kInf), 0x7C00);
  EXPECT_EQ(f16(-kInf), 0xFC00);
  EXPECT_TRUE((f16(std::nanf("")) & 0x7C00) == 0x7C00 && (f16(std::nanf("")) & 0x03FF) != 0);
}

TEST(ToHalf, F16TiesToEven) {
  EXPECT_EQ(f16(1 + 0x1p-11f), 0x3C00);
  EXPECT_EQ(f16(1 + 0x3p-11f), 0x3C02);
  EXPECT_EQ(f16(1 + 0x1p-11f + 0x1p-20f), 0x3C01);
  EXPECT_EQ(f16(2 - 0x1p-11f), 0x4000) << "over the power of two";
}

TEST(ToHalf, Bf16LiteralBits) {
  EXPECT_EQ(bf16(0.0f), 0x0000);
  EXPECT_EQ(bf16(-1.0f), 0xBF80);
  EXPECT_EQ(bf16(3.140625f), 0x4049);
  EXPECT_EQ(bf16(1 + 0x1p-8f), 0x3F80) << "a tie, to even";
  EXPECT_EQ(bf16(1 + 0x3p-8f), 0x3F82) << "a tie, to even";
  EXPECT_EQ(bf16(1e38f), 0x7E96);
  EXPECT_EQ(bf16(-kInf), 0xFF80);
  // A NaN whose payload is in the lower half alone stays one.
  EXPECT_EQ(bf16(std::bit_cast<float>(0x7F800001u)), 0x7FC0);
}

TEST(ToHalf, EveryHalfThereAndBack) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const Tensor all({65536}, dtype);
    auto* bits = static_cast<uint16_t*>(all.raw());
    for (uint32_t i = 0; i < 65536; ++i) bits[i] = static_cast<uint16_t>(i);
    const Tensor wide = to_float(all, DType::kF32), back = to_half(wide, dtype);
    EXPECT_EQ(back.shape(), all.shape());
    EXPECT_EQ(back.dtype(), dtype);
    int64_t different = 0;
    for (size_t i = 0; i < 65536; ++i)
      different += !std::isnan(wide.data<float>()[i]) && static_cast<const uint16_t*>(back.raw())[i] != bits[i] ? 1 : 0;
    EXPECT_EQ(different, 0);
  }
}

TEST(ToHalf, WhatCannotBe) {
  EXPECT_EQ(error_of([] { f16(65520); }), "value: 65520 is too large for half precision (F16); BF16 takes it");
  EXPECT_EQ(error_of([] { f16(-1e9f); }), "value: -1000000000 is too large for half precision (F16); BF16 takes it");
  EXPECT_EQ(error_of([] { to_half(Tensor({1}, DType::kF64), DType::kF16); }),
            "unsupported: [to_half] cannot convert from F64 to F16");
  EXPECT_THAT(error_of([] { to_half(single(1), DType::kF32); }), testing::HasSubstr("unsupported: "));
  EXPECT_EQ(to_half(Tensor({0, 3}, DType::kF32), DType::kF16).shape(), Shape({0, 3}));
}

}  // namespace
}  // namespace cloze
