// Large blocks of memory out of a few segments: best fit, split and joined again, so that the tensors of a training
// step find their places of the step before whatever their lengths are, and nothing goes back to the system between.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace cloze {

class Heap {
 public:
  Heap() = default;
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// `bytes` of memory, 64-byte aligned, uninitialised; null where the system has none.
  void* take(int64_t bytes);
  void give(void* memory) noexcept;
  /// Gives segments without a block in use back to the system.
  void trim() noexcept;
  /// Bytes taken from the system.
  int64_t reserved_bytes() const { return reserved_; }

 private:
  struct Block;
  bool add_segment(int64_t bytes);
  void insert(Block* block);

  std::set<std::pair<int64_t, Block*>> free_;                           ///< by size, then address
  std::vector<std::set<std::pair<int64_t, Block*>>::node_type> spare_;  ///< so that give() need not allocate
  size_t used_ = 0;                                                     ///< blocks given out
  std::vector<std::pair<Block*, int64_t>> segments_;
  int64_t reserved_ = 0;
};

}  // namespace cloze
