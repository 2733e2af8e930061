// A pseudo-random order of 0 … n-1 of which any element is found without the others: a Feistel network of eight rounds
// over the next power of four (four rounds favour some places where n is below 10), walked until it falls inside (Black
// and Rogaway, "Ciphers with arbitrary finite domains", 2002).
#pragma once

#include <cstdint>

#include "cloze/base/rng.h"

namespace cloze {

class Permutation {
 public:
  /// n >= 1. One order for each (seed, stream, number).
  Permutation(uint64_t n, uint64_t seed, RandomStream stream, uint64_t number) : n_(n) {
    while (half_bits_ < 32 && (uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const auto words = philox(seed, static_cast<uint32_t>(stream), round, number);
      keys_[round] = uint64_t{words[0]} << 32 | words[1];
    }
  }

  uint64_t operator()(uint64_t i) const {
    do {
      i = scramble(i);
    } while (i >= n_);
    return i;
  }

 private:
  static constexpr uint32_t kRounds = 8;
  uint64_t scramble(uint64_t i) const {
    const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
    uint64_t left = i >> half_bits_, right = i & mask;
    for (const uint64_t key : keys_) {
      uint64_t mixed = (right + key) * 0x9E3779B97F4A7C15u;
      mixed = (mixed ^ (mixed >> 31)) * 0xBF58476D1CE4E5B9u;
      const uint64_t swapped = left ^ ((mixed ^ (mixed >> 29)) & mask);
      left = right;
      right = swapped;
    }
    return left << half_bits_ | right;
  }

  uint64_t n_;
  int half_bits_ = 1;
  uint64_t keys_[kRounds] = {};
};

}  // namespace cloze
