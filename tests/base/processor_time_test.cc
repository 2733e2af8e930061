#include "cloze/base/processor_time.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

using namespace std::chrono_literals;

void spin_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

TEST(ProcessorTimeTest, ASleepTakesNoProcessorTime) {
  const double begin = thread_cpu_seconds();
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(thread_cpu_seconds() - begin, 0.05);
}

TEST(ProcessorTimeTest, WorkTakesProcessorTime) {
  const double begin = thread_cpu_seconds();
  while (thread_cpu_seconds() - begin < 0.02) continue;  // ends
  EXPECT_GE(thread_cpu_seconds() - begin, 0.02);
}

TEST(ProcessorTimeTest, TheTimeIsOfThisThread) {
  const double begin = thread_cpu_seconds();
  std::thread other([] { spin_for(200ms); });
  other.join();
  EXPECT_LT(thread_cpu_seconds() - begin, 0.1);
}

TEST(ProcessorWaitTest, MoreThreadsThanProcessorsWait) {
  if (!std::filesystem::exists("/proc/self/schedstat")) GTEST_SKIP() << "the kernel does not tell who waits";
  const ProcessorWait wait;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  const int processors = usable_processors();
  for (int i = 0; i < 4 * processors; ++i)
    threads.emplace_back([&] {
      while (!stop) continue;
    });
  std::this_thread::sleep_for(500ms);
  const double share = wait.share();
  const bool busy = wait.busy();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  // Each runs a quarter of the time; other programs make it less.
  EXPECT_GT(share, 0.5);
  EXPECT_LE(share, 1);
  EXPECT_TRUE(busy);
}

TEST(ProcessorWaitTest, NothingRunNothingWaited) {
  const ProcessorWait wait;
  EXPECT_GE(wait.share(), 0);
  EXPECT_LE(wait.share(), 1);
}

}  // namespace
}  // namespace cloze
