#include "cloze/tensor/storage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/tensor/tensor.h"

namespace cloze {
namespace {

TEST(MemoryPool, BlocksAreAlignedAndWholeForEverySize) {
  for (int64_t bytes = 0; bytes < 5000; ++bytes) {
    const std::shared_ptr<void> block = allocate_pooled(bytes);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(block.get()) % 64, 0u) << bytes;
    std::memset(block.get(), 0xAB, static_cast<size_t>(bytes));  // asan would see a short block
  }
}

TEST(MemoryPool, SizeClassesWasteAtMostAnEighth) {
  for (int64_t bytes = 512; bytes < (int64_t{1} << 40); bytes = bytes * 3 / 2 + 1) {
    if (bytes > 1 << 24) break;
    const int64_t before = memory_use().current_bytes;
    const std::shared_ptr<void> block = allocate_pooled(bytes);
    const int64_t taken = memory_use().current_bytes - before;
    EXPECT_GE(taken, bytes);
    EXPECT_LE(taken, bytes + bytes / 8 + 64);
  }
}

TEST(MemoryPool, AFreedBlockIsUsedAgainForASimilarSize) {
  void* first = allocate_pooled(100'000).get();  // freed at the semicolon
  EXPECT_EQ(allocate_pooled(99'000).get(), first);
  const std::shared_ptr<void> held = allocate_pooled(100'000);
  EXPECT_EQ(held.get(), first);
  EXPECT_NE(allocate_pooled(100'000).get(), first) << "a block in use is not given out twice";
}

TEST(MemoryPool, CountsCurrentPeakAndCached) {
  trim_memory_pool();
  reset_peak_memory();
  const MemoryUse start = memory_use();
  EXPECT_EQ(start.peak_bytes, start.current_bytes);
  EXPECT_EQ(start.cached_bytes, 0);
  constexpr int64_t kBlock = 1 << 20;
  {
    const Tensor one({kBlock}, DType::kU8);
    EXPECT_EQ(memory_use().current_bytes, start.current_bytes + kBlock);
    { const Tensor two({kBlock}, DType::kU8); }
    const Tensor three({kBlock}, DType::kU8);
    const Tensor copy = three, view = three.rows(0, 10);
    EXPECT_EQ(memory_use().current_bytes, start.current_bytes + 2 * kBlock);
  }
  { const Tensor later({kBlock}, DType::kU8); }  // less than the peak: it stays
  const MemoryUse end = memory_use();
  EXPECT_EQ(end.current_bytes, start.current_bytes);
  EXPECT_EQ(end.peak_bytes, start.current_bytes + 2 * kBlock);
  EXPECT_GE(end.cached_bytes, 2 * kBlock);
  trim_memory_pool();
  EXPECT_EQ(memory_use().cached_bytes, 0);
  reset_peak_memory();
  EXPECT_EQ(memory_use().peak_bytes, start.current_bytes);
}

TEST(MemoryPool, SmallClassesHoldWhatWasAskedFor) {
  for (int64_t bytes = 1; bytes <= 40'000; bytes += bytes < 1200 ? 1 : 37) {
    const std::shared_ptr<void> one = allocate_pooled(bytes), two = allocate_pooled(bytes);
    std::memset(one.get(), 1, static_cast<size_t>(bytes));
    std::memset(two.get(), 2, static_cast<size_t>(bytes));
    ASSERT_EQ(static_cast<char*>(one.get())[bytes - 1], 1) << bytes;
  }
}

/// Blocks of random sizes taken and given in random order: each keeps its own bytes, and all of them join again.
TEST(MemoryPool, LargeBlocksSplitAndJoin) {
  trim_memory_pool();
  const int64_t before = memory_use().current_bytes + memory_use().cached_bytes;
  Rng rng(1, RandomStream::kTest);
  std::vector<Tensor> held;
  int64_t most = 0;
  for (int round = 0; round < 4000; ++round) {
    if (held.size() < 40 && rng.below(5) > 1) {
      const int64_t bytes = 33'000 + static_cast<int64_t>(rng.below(400'000));
      held.push_back(Tensor::full({bytes / 4}, DType::kI32, round));
    } else if (!held.empty()) {
      std::swap(held[rng.below(held.size())], held.back());
      const auto bytes = held.back().values<int32_t>();
      ASSERT_EQ(std::ranges::count(bytes, bytes.front()), std::ssize(bytes));
      held.pop_back();
    }
    most = std::max(most, memory_use().current_bytes);
  }
  EXPECT_LT(memory_use().current_bytes + memory_use().cached_bytes, before + 2 * most) << "the holes are used again";
  held.clear();
  trim_memory_pool();
  EXPECT_EQ(memory_use().current_bytes + memory_use().cached_bytes, before);
}

TEST(MemoryPool, ARepeatedStepTakesNothingNew) {
  const auto step = [] {
    std::vector<Tensor> held;
    for (int64_t i = 0; i < 30; ++i) held.emplace_back(Shape({50'000 + 7'000 * (i * i % 11)}), DType::kF32);
    for (int64_t i = 0; i < 30; i += 2) held[static_cast<size_t>(i)] = Tensor();
    for (int64_t i = 0; i < 20; ++i) held.emplace_back(Shape({40'000 + 9'000 * (i % 5)}), DType::kF32);
  };
  step();
  const MemoryUse first = memory_use();
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(memory_use().cached_bytes, first.cached_bytes);
}

TEST(MemoryPool, MappedViewsCostNothing) {
  std::vector<float> values(1000);
  const int64_t before = memory_use().current_bytes;
  const Tensor view = Tensor::view({1000}, DType::kF32, values.data(), std::make_shared<int>(0));
  EXPECT_EQ(memory_use().current_bytes, before);
}

TEST(MemoryPool, ThreadsShareIt) {
  const int64_t before = memory_use().current_bytes;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int64_t i = 0; i < 2000; ++i) {
        const Tensor tensor = Tensor::full({1 + i % 300}, DType::kI32, t);
        for (const int32_t value : tensor.values<int32_t>()) ASSERT_EQ(value, t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory_use().current_bytes, before);
}

}  // namespace
}  // namespace cloze
