// PairTable: pairs of neighbouring symbols, how often they stand in the corpus, and in which words.
// Internal to wordpiece_trainer.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace cloze {

/// Two symbols as one number; its order is that of (left, right).
inline uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

class PairTable {
 public:
  struct Pair {
    uint64_t key;
    int64_t count = 0;
    std::vector<uint32_t> words;  ///< ascending within one merge; may hold words that have lost the pair
  };

  /// The pair, made with count 0 if new. Valid until the next call.
  Pair& at(uint64_t key) {
    if (pairs_.size() * 2 >= slots_.size()) grow();
    const size_t slot = find(key);
    if (slots_[slot] == 0) {
      pairs_.push_back({key, 0, {}});
      slots_[slot] = static_cast<uint32_t>(pairs_.size());
    }
    return pairs_[slots_[slot] - 1];
  }
  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  size_t find(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
    size_t slot = hash & mask;
    while (slots_[slot] != 0 && pairs_[slots_[slot] - 1].key != key) slot = (slot + 1) & mask;
    return slot;
  }
  void grow() {
    slots_.assign(std::max<size_t>(1024, slots_.size() * 2), 0);
    for (size_t i = 0; i < pairs_.size(); ++i) slots_[find(pairs_[i].key)] = static_cast<uint32_t>(i + 1);
  }

  std::vector<Pair> pairs_;
  std::vector<uint32_t> slots_;  ///< pair + 1; 0 is free. At most half full.
};

}  // namespace cloze
