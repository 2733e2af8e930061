#include "cloze/tensor/heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define CLOZE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CLOZE_ASAN 1
#endif
#endif
#ifdef CLOZE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace cloze {

/// Stands before the memory of each block; the blocks of a segment follow one another without a gap.
struct alignas(64) Heap::Block {
  int64_t size;   ///< with this header; a multiple of 64
  Block* before;  ///< null: the first of its segment
  bool free, last;

  char* memory() { return reinterpret_cast<char*>(this + 1); }
  Block* after() { return last ? nullptr : reinterpret_cast<Block*>(reinterpret_cast<char*>(this) + size); }
};

namespace {

constexpr int64_t kAlignment = 64, kSmallestRest = 4096, kLargePage = 2 << 20;

int64_t round_up(int64_t bytes, int64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

Heap::~Heap() {
  for (const auto& [first, size] : segments_) std::free(first);
}

bool Heap::add_segment(int64_t bytes) {
  // A quarter of what is there, so that segments stay few, and modest, so that small programs stay small.
  int64_t size = std::max(bytes, std::clamp<int64_t>(reserved_ / 4, 1 << 20, 64 << 20));
  const bool large = size >= 2 * kLargePage;
  size = round_up(size, large ? kLargePage : kSmallestRest);
  void* memory = std::aligned_alloc(static_cast<size_t>(large ? kLargePage : kSmallestRest), static_cast<size_t>(size));
  if (memory == nullptr) return false;
  // Kernels walk down columns of tensors whose rows are a small page apart: more pages than the processor's tables
  // hold.
  if (large) madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
  Block* block = new (memory) Block{.size = size, .before = nullptr, .free = false, .last = true};
  ASAN_POISON_MEMORY_REGION(block->memory(), static_cast<size_t>(size) - sizeof(Block));
  segments_.emplace_back(block, size);
  reserved_ += size;
  insert(block);
  return true;
}

void Heap::insert(Block* block) {
  block->free = true;
  if (spare_.size() <= used_) {
    free_.emplace(block->size, block);
    return;
  }
  auto node = std::move(spare_.back());
  spare_.pop_back();
  node.value() = {block->size, block};
  free_.insert(std::move(node));
}

void* Heap::take(int64_t bytes) {
  const int64_t size = round_up(bytes, kAlignment) + static_cast<int64_t>(sizeof(Block));
  auto found = free_.lower_bound({size, nullptr});
  if (found == free_.end()) {
    if (!add_segment(size)) return nullptr;
    found = free_.lower_bound({size, nullptr});
  }
  Block* block = found->second;
  // Each block in use has a spare node for its return, and there is room for all nodes: give() never allocates.
  const size_t nodes = free_.size() + spare_.size() + 2;
  if (spare_.capacity() < nodes) spare_.reserve(2 * nodes);
  spare_.push_back(free_.extract(found));
  ++used_;
  block->free = false;
  if (block->size - size >= kSmallestRest) {
    ASAN_UNPOISON_MEMORY_REGION(reinterpret_cast<char*>(block) + size, sizeof(Block));
    Block* rest = new (reinterpret_cast<char*>(block) + size)
        Block{.size = block->size - size, .before = block, .free = false, .last = block->last};
    if (Block* after = rest->after()) after->before = rest;
    block->size = size;
    block->last = false;
    insert(rest);
  }
  ASAN_UNPOISON_MEMORY_REGION(block->memory(), static_cast<size_t>(bytes));
  return block->memory();
}

void Heap::give(void* memory) noexcept {
  Block* block = static_cast<Block*>(memory) - 1;
  --used_;
  const auto swallow = [&](Block* other) { spare_.push_back(free_.extract({other->size, other})); };
  ASAN_POISON_MEMORY_REGION(block->memory(), static_cast<size_t>(block->size) - sizeof(Block));
  if (Block* after = block->after(); after != nullptr && after->free) {
    swallow(after);
    block->size += after->size;
    block->last = after->last;
    ASAN_POISON_MEMORY_REGION(after, sizeof(Block));
  }
  if (Block* before = block->before; before != nullptr && before->free) {
    swallow(before);
    before->size += block->size;
    before->last = block->last;
    ASAN_POISON_MEMORY_REGION(block, sizeof(Block));
    block = before;
  }
  if (Block* after = block->after()) after->before = block;
  insert(block);
}

void Heap::trim() noexcept {
  std::erase_if(segments_, [&](const auto& segment) {
    const auto& [first, size] = segment;
    if (!first->free || first->size != size) return false;
    free_.erase({first->size, first});
    ASAN_UNPOISON_MEMORY_REGION(first, static_cast<size_t>(size));
    std::free(first);
    reserved_ -= size;
    return true;
  });
}

}  // namespace cloze

#ifdef CLOZE_ASAN
#undef CLOZE_ASAN
#else
#undef ASAN_POISON_MEMORY_REGION
#undef ASAN_UNPOISON_MEMORY_REGION
#endif
