// The bf16 products of training: y = activation(x weight^T + bias), dx = dpre weight and dweight = dpre^T x, where
// every x, weight and dpre that is multiplied is first rounded to bf16 (f32's upper 16 bits: its range, 8 bits of
// mantissa).
//
// Rounding is to the nearest, ties to even; NaN stays NaN. Products of two such numbers are exact in f32; their sums
// are f32, in an order that the backend chooses. Numbers below 2^-126, sums among them, may count as 0. What is stored
// stays f32, and bias, activation, dpre and dbias are computed from f32 that was not rounded.
#pragma once

#include <bit>
#include <cstdint>

namespace cloze {

/// The bf16 nearest to x, as f32.
inline float round_bf16(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  bits = x == x ? bits + 0x7FFF + (bits >> 16 & 1) : bits | 0x400000;
  return std::bit_cast<float>(bits & 0xFFFF0000);
}

}  // namespace cloze
