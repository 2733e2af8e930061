#include "cloze/tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace cloze {
namespace {

constexpr int64_t kAlignment = 64;

int64_t size_class(int64_t bytes) {
  if (bytes <= 512) return std::max<int64_t>((bytes + kAlignment - 1) / kAlignment, 1) * kAlignment;
  const int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 8;
  return (bytes + step - 1) / step * step;
}

/// Fresh memory, null where there is none. Large blocks ask for large pages: kernels walk down columns of tensors whose
/// rows are a small page apart, and the processor's table of small pages holds too few of them.
void* fresh_block(int64_t size) {
  constexpr int64_t kLargePage = 2 << 20;
  if (size < 2 * kLargePage) return std::aligned_alloc(kAlignment, static_cast<size_t>(size));
  void* block = std::aligned_alloc(kLargePage, static_cast<size_t>((size + kLargePage - 1) / kLargePage * kLargePage));
  if (block != nullptr) madvise(block, static_cast<size_t>(size / kLargePage * kLargePage), MADV_HUGEPAGE);
  return block;
}

class Pool {
 public:
  /// A block of at least `size` bytes (a size class); `size` becomes what it has.
  void* take(int64_t& size) {
    {
      const std::lock_guard lock(mutex_);
      // A somewhat larger block does as well: batches differ in length, and each length must not keep its own blocks.
      for (auto kept = free_.lower_bound(size); kept != free_.end() && kept->first <= size + size / 2; ++kept) {
        if (kept->second.empty()) continue;
        void* block = kept->second.back();
        kept->second.pop_back();
        size = kept->first;
        use_.cached_bytes -= size;
        count(size);
        return block;
      }
      // What lies idle stays below what was ever in use.
      if (use_.cached_bytes > use_.peak_bytes) release();
    }
    void* block = fresh_block(size);
    if (block == nullptr) {
      trim();
      block = fresh_block(size);
    }
    if (block == nullptr) throw std::bad_alloc();
    const std::lock_guard lock(mutex_);
    count(size);
    free_[size];  // so that give() finds its list without allocating
    return block;
  }
  void give(void* block, int64_t size) noexcept {
    const std::lock_guard lock(mutex_);
    use_.current_bytes -= size;
    free_.find(size)->second.push_back(block);
    use_.cached_bytes += size;
  }
  void trim() {
    const std::lock_guard lock(mutex_);
    release();
  }
  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    use_.peak_bytes = use_.current_bytes;
  }

 private:
  /// Frees what is kept; the lock is held.
  void release() {
    for (auto& [size, kept] : free_) {
      for (void* block : kept) std::free(block);
      kept.clear();
    }
    use_.cached_bytes = 0;
  }
  /// A block is in use from now on; the lock is held.
  void count(int64_t size) {
    use_.current_bytes += size;
    use_.peak_bytes = std::max(use_.peak_bytes, use_.current_bytes);
  }
  std::mutex mutex_;
  std::map<int64_t, std::vector<void*>> free_;
  MemoryUse use_{};
};

/// Never destroyed: tensors in static storage may outlive any order of destruction.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<void> allocate_pooled(int64_t bytes) {
  int64_t size = size_class(bytes);
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
