#include "cloze/compress/pass_timer.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cloze/base/processor_time.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

/// A pass that runs for so long on a processor, whatever else the machine does.
Pass work_of(double seconds) {
  return [seconds] {
    const double begin = thread_cpu_seconds();
    while (thread_cpu_seconds() - begin < seconds) continue;
  };
}

TEST(PassTimerTest, EachPassRunsSoOftenAndOnceMore) {
  int first = 0, second = 0;
  const std::array<Pass, 2> passes = {[&] { ++first; }, [&] { ++second; }};
  time_passes(passes, {.runs = 3, .least_seconds = 0}, PassClock::kWall);
  EXPECT_EQ(first, 4);
  EXPECT_EQ(second, 4);
  time_passes(passes, {.runs = 2, .least_seconds = 1e9}, PassClock::kProcessor);  // no more than fifty times as often
  EXPECT_EQ(first, 4 + 101);
}

TEST(PassTimerTest, PassesComeInTurns) {
  std::string order;
  const std::array<Pass, 2> passes = {[&] { order += 'a'; }, [&] { order += 'b'; }};
  time_passes(passes, {.runs = 2, .least_seconds = 0}, PassClock::kWall);
  EXPECT_EQ(order, "ababab");
}

TEST(PassTimerTest, TheWallCountsSleepAndTheProcessorDoesNot) {
  const std::array<Pass, 1> sleep = {[] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }};
  EXPECT_GE(time_passes(sleep, {.runs = 2, .least_seconds = 0}, PassClock::kWall).front(), 0.03);
  EXPECT_LT(time_passes(sleep, {.runs = 2, .least_seconds = 0}, PassClock::kProcessor).front(), 0.02);
}

TEST(PassTimerTest, ProcessorTimeIsOfOneThread) {
  std::mutex lock;
  std::set<std::thread::id> threads;
  const std::array<Pass, 1> pass = {[&] {
    thread_team().run([&](int, int) {
      const std::scoped_lock held(lock);
      threads.insert(std::this_thread::get_id());
    });
  }};
  time_passes(pass, {.runs = 1, .least_seconds = 0}, PassClock::kProcessor);
  EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
}

TEST(PassTimerTest, TwiceTheWorkIsHalfAsFastOnABusyMachineToo) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (int i = 0; i < 2 * usable_processors(); ++i)
    others.emplace_back([&] {
      while (!stop) continue;
    });
  const double faster = times_as_fast(work_of(0.02), work_of(0.01), {.runs = 5, .least_seconds = 0});
  stop = true;
  for (std::thread& thread : others) thread.join();
  EXPECT_NEAR(faster, 2, 0.1);
}

TEST(PassTimerTest, AnErrorOfAPassIsThrownAgain) {
  const std::array<Pass, 1> pass = {[] { throw std::runtime_error("broken"); }};
  EXPECT_THROW(time_passes(pass, {}, PassClock::kProcessor), std::runtime_error);
  EXPECT_THROW(time_passes(pass, {}, PassClock::kWall), std::runtime_error);
}

}  // namespace
}  // namespace cloze
