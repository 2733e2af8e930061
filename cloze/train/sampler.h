// The order of training rows: a pure function of (seed, epoch).
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "cloze/base/rng.h"

namespace cloze {

/// A permutation of 0 … rows-1 (Fisher-Yates).
inline std::vector<int64_t> shuffled_rows(int64_t rows, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed, RandomStream::kShuffle, static_cast<uint32_t>(epoch));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

}  // namespace cloze
