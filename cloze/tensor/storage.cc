#include "cloze/tensor/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#include "cloze/tensor/heap.h"

namespace cloze {
namespace {

constexpr int64_t kBlockAlignment = 64;
/// Blocks up to here come from lists by size class, which take no search.
constexpr int64_t kLargestSmall = 32 << 10;

/// Class of a small size: 64-byte steps to 512, then eight steps a doubling.
size_t class_of(int64_t bytes) {
  if (bytes <= 512) return static_cast<size_t>(std::max<int64_t>(bytes - 1, 0) / kBlockAlignment);
  const int doubling = std::bit_width(static_cast<uint64_t>(bytes - 1)) - 10;  // 0 for 513 to 1024
  return static_cast<size_t>(8 + 8 * doubling + ((bytes - 1) >> (doubling + 6)) - 8);
}
int64_t class_bytes(size_t index) {
  if (index < 8) return static_cast<int64_t>(index + 1) * kBlockAlignment;
  const size_t doubling = (index - 8) / 8, step = (index - 8) % 8;
  return static_cast<int64_t>(9 + step) << (doubling + 6);
}
constexpr size_t kClasses = 8 + 8 * 6;

class Pool {
 public:
  /// `size` becomes what the block counts as.
  void* take(int64_t& size) {
    const std::lock_guard lock(mutex_);
    void* block = nullptr;
    if (size <= kLargestSmall) {
      const size_t index = class_of(size);
      size = class_bytes(index);
      block = take_small(index, size);
    } else {
      size = (size + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
      block = heap_.take(size);
      if (block == nullptr) {
        release();
        block = heap_.take(size);
      }
    }
    if (block == nullptr) throw std::bad_alloc();
    current_ += size;
    peak_ = std::max(peak_, current_);
    return block;
  }
  void give(void* block, int64_t size) noexcept {
    const std::lock_guard lock(mutex_);
    current_ -= size;
    if (size > kLargestSmall) return heap_.give(block);
    small_[class_of(size)] = new (block) Kept{small_[class_of(size)]};
  }
  void trim() {
    const std::lock_guard lock(mutex_);
    release();
  }
  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return {.current_bytes = current_,
            .peak_bytes = peak_,
            .cached_bytes = small_bytes_ + heap_.reserved_bytes() - current_};
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    peak_ = current_;
  }

 private:
  /// Stands in a small block that is not in use.
  struct Kept {
    Kept* next;
  };

  void* take_small(size_t index, int64_t size) {
    if (Kept* kept = small_[index]) {
      small_[index] = kept->next;
      return kept;
    }
    void* block = std::aligned_alloc(kBlockAlignment, static_cast<size_t>(size));
    if (block != nullptr) small_bytes_ += size;
    return block;
  }
  /// Frees what is kept; the lock is held.
  void release() {
    for (size_t index = 0; index < kClasses; ++index) {
      while (Kept* kept = small_[index]) {
        small_[index] = kept->next;
        small_bytes_ -= class_bytes(index);
        std::free(kept);
      }
    }
    heap_.trim();
  }

  std::mutex mutex_;
  std::array<Kept*, kClasses> small_{};
  Heap heap_;
  int64_t current_ = 0, peak_ = 0, small_bytes_ = 0;
};

/// Never destroyed: tensors in static storage may outlive any order of destruction.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<void> allocate_pooled(int64_t bytes) {
  int64_t size = std::max<int64_t>(bytes, 1);
  void* block = pool().take(size);
  return {block, [size](void* done) { pool().give(done, size); }};
}

MemoryUse memory_use() {
  return pool().use();
}
void reset_peak_memory() {
  pool().reset_peak();
}
void trim_memory_pool() {
  pool().trim();
}

}  // namespace cloze
