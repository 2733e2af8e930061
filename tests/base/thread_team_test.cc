#include "cloze/base/thread_team.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <stdexcept>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;

TEST(ThreadTeamTest, EveryWorkerRunsOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadTeam team(threads);
    EXPECT_EQ(team.size(), threads);
    std::vector<std::atomic<int>> runs(static_cast<size_t>(threads));
    team.run([&](int worker, int workers) {
      EXPECT_EQ(workers, threads);
      ++runs.at(static_cast<size_t>(worker));
    });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadTeamTest, RangesCoverAllOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    for (const int64_t n : {0, 1, 2, 4, 5, 7, 100, 1001}) {
      for (const int64_t grain : {0, 1, 3, 64}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
        team.for_ranges(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_LT(begin, end);
          EXPECT_GE(end - begin, std::min(n, grain)) << n << " by " << grain;
          for (int64_t i = begin; i < end; ++i) ++seen.at(static_cast<size_t>(i));
        });
        EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](const auto& count) { return count == 1; }))
            << threads << " threads, " << n << " by " << grain;
      }
    }
  }
}

TEST(ThreadTeamTest, ManyRounds) {
  for (const auto& [threads, rounds] : {std::pair{2, 20000}, {5, 500}}) {  // five are more than most test machines have
    ThreadTeam team(threads);
    std::vector<int64_t> sums(static_cast<size_t>(threads));
    for (int64_t round = 0; round < rounds; ++round) {
      team.run([&](int worker, int) { sums[static_cast<size_t>(worker)] += round; });
    }
    for (const int64_t sum : sums) EXPECT_EQ(sum, int64_t{rounds} * (rounds - 1) / 2);
  }
}

TEST(ThreadTeamTest, WakesAfterParking) {
  ThreadTeam team(2);
  std::atomic<int> runs{0};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    team.run([&](int, int) { ++runs; });
  }
  EXPECT_EQ(runs, 10);
}

TEST(ThreadTeamTest, ExceptionsAreCarriedAndTheTeamGoesOn) {
  ThreadTeam team(4);
  for (int thrower = 0; thrower < 4; ++thrower) {
    std::atomic<int> ended{0};
    EXPECT_EQ(error_of([&] {
                team.run([&](int worker, int) {
                  if (worker == thrower) fail(ErrorCode::kValue, "worker {}", worker);
                  ++ended;
                });
              }),
              fmt::format("value: worker {}", thrower));
    EXPECT_EQ(ended, 3);  // the others ended before the exception came back
  }
  EXPECT_THROW(team.run([](int, int) { throw std::runtime_error("all"); }), std::runtime_error);
  std::atomic<int> runs{0};
  team.run([&](int, int) { ++runs; });
  EXPECT_EQ(runs, 4);
}

TEST(ThreadTeamTest, NestedCallsRunOnTheirWorker) {
  ThreadTeam team(3), other(2);
  std::atomic<int> inner{0}, wrong_thread{0};
  team.run([&](int, int) {
    const std::thread::id self = std::this_thread::get_id();
    team.for_ranges(30, 1, [&](int64_t begin, int64_t end) {
      inner += static_cast<int>(end - begin);
      if (std::this_thread::get_id() != self) ++wrong_thread;
    });
    other.run([&](int, int) {
      ++inner;
      if (std::this_thread::get_id() != self) ++wrong_thread;
    });
  });
  EXPECT_EQ(inner, 3 * (30 + 2));
  EXPECT_EQ(wrong_thread, 0);
}

TEST(ThreadTeamTest, SeveralCallersShareATeam) {
  ThreadTeam team(3);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        team.for_ranges(90, 1, [&](int64_t begin, int64_t end) { total += end - begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 4 * 500 * 90);
}

TEST(ThreadTeamTest, TeamsComeAndGo) {
  std::atomic<int> runs{0};
  for (int i = 0; i < 100; ++i) {
    ThreadTeam team(1 + i % 4);
    if (i % 3 != 0) team.run([&](int, int) { ++runs; });  // some end without ever having worked
  }
  EXPECT_EQ(runs, [] {
    int expected = 0;
    for (int i = 0; i < 100; ++i) expected += i % 3 != 0 ? 1 + i % 4 : 0;
    return expected;
  }());
}

/// Without an offer of the processor, each run spins to its end twice: 200 microseconds instead of about 5.
TEST(ThreadTeamTest, ASharedProcessorIsHandedOver) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  constexpr int kRuns = 300;
  double seconds = 0;
  {
    ThreadTeam team(2);
    const std::clock_t begin = std::clock();  // processor time, of both threads: other programs do not count
    for (int i = 0; i < kRuns; ++i) team.run([](int, int) {});
    seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_LT(seconds / kRuns, 50e-6);
}

TEST(ThreadTeamTest, SizesAreChecked) {
  EXPECT_EQ(error_of([] { ThreadTeam(0); }), "value: a thread team needs at least one thread, asked for 0");
  EXPECT_EQ(error_of([] { set_thread_count(-1); }), "value: threads must be 0 (all) to 1024, found -1");
  EXPECT_EQ(error_of([] { set_thread_count(1025); }), "value: threads must be 0 (all) to 1024, found 1025");
}

TEST(ThreadTeamTest, TheTeamOfTheProcess) {
  EXPECT_GE(usable_processors(), 1);
  set_thread_count(3);
  EXPECT_EQ(thread_team().size(), 3);
  set_thread_count(0);
  EXPECT_EQ(thread_team().size(), usable_processors());
}

}  // namespace
}  // namespace cloze
