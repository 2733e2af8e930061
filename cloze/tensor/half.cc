#include <bit>
#include <cmath>

#include "cloze/tensor/tensor.h"

namespace cloze {
namespace {

uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/// binary32 to IEEE 754 binary16, to the nearest, ties to even; finite values below 65520.
uint16_t to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00u);
  if (std::isinf(value)) return static_cast<uint16_t>(sign | 0x7C00u);
  const float magnitude = std::fabs(value);
  // Below the least normal number the result counts in steps of 2^-24; the addition rounds.
  if (magnitude < 0x1.0p-14f)
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyintf(magnitude * 0x1.0p24f)));
  const uint32_t rest = std::bit_cast<uint32_t>(magnitude) - (112u << 23);
  return static_cast<uint16_t>(sign | ((rest + 0xFFFu + (rest >> 13 & 1u)) >> 13));
}

}  // namespace

Tensor to_half(const Tensor& source, DType dtype) {
  CLOZE_CHECK(source.dtype() == DType::kF32 && (dtype == DType::kF16 || dtype == DType::kBF16), ErrorCode::kUnsupported,
              "[to_half] cannot convert from {} to {}", dtype_name(source.dtype()), dtype_name(dtype));
  const Tensor target(source.shape(), dtype);
  const float* from = source.data<float>();
  uint16_t* to = static_cast<uint16_t*>(target.raw());
  for (int64_t i = 0; i < source.elements(); ++i) {
    CLOZE_CHECK(dtype == DType::kBF16 || !(std::fabs(from[i]) >= 65520.0f) || std::isinf(from[i]), ErrorCode::kValue,
                "{} is too large for half precision (F16); BF16 takes it", from[i]);
    to[i] = dtype == DType::kF16 ? to_f16(from[i]) : to_bf16(from[i]);
  }
  return target;
}

}  // namespace cloze
