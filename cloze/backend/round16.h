// Rounding to bf16, shared by all backends.
#pragma once

#include <bit>
#include <cstdint>

#include "cloze/base/rng.h"

namespace cloze {

inline float bf16_value(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}
/// To the nearest, ties to even. Not for NaN.
inline uint16_t bf16_nearest(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
/// Away from 0 with the probability of what lies below bf16's last bit, else towards 0: right in the mean for a uniform
/// `random16`. 0 and infinities stay.
inline uint16_t bf16_random(float value, uint32_t random16) {
  return static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + random16) >> 16);
}
/// The number of element i of parameter `site` in step `step`: half-word i % 8, low half of each word first, of a
/// block.
inline uint32_t rounding_random16(int64_t step, uint32_t site, int64_t i) {
  const auto words = philox(static_cast<uint64_t>(step), static_cast<uint32_t>(RandomStream::kRounding), site,
                            static_cast<uint64_t>(i / 8));
  const uint32_t word = words[static_cast<size_t>(i % 8 / 2)];
  return i % 2 == 0 ? word & 0xFFFFu : word >> 16;
}

}  // namespace cloze
