// Memory of tensors: 64-byte aligned blocks from a pool that keeps freed blocks for the next batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace cloze {

/// A block of at least `bytes`, uninitialised, 64-byte aligned, given back to the pool when the last owner goes.
/// Small blocks are rounded up to size classes (eight to a doubling); large ones come from a Heap.
/// Errors: std::bad_alloc.
std::shared_ptr<void> allocate_pooled(int64_t bytes);

struct MemoryUse {
  int64_t current_bytes;  ///< in live tensors
  int64_t peak_bytes;     ///< highest current_bytes since the last reset
  int64_t cached_bytes;   ///< taken from the system and in no tensor
};
MemoryUse memory_use();
void reset_peak_memory();
/// Gives the kept blocks back to the system.
void trim_memory_pool();

}  // namespace cloze
