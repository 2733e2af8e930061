// Part of bench_kernels: what it costs to hand work to the thread team and to wait for its end. Target: under 2
// microseconds while the workers still spin.
#include <benchmark/benchmark.h>

#include <chrono>
#include <thread>

#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

/// Calls after one another, as kernels are.
void spinning(benchmark::State& state) {
  ThreadTeam& team = thread_team();
  for (auto _ : state) team.run([](int worker, int) { benchmark::DoNotOptimize(worker); });
}
BENCHMARK(spinning)->Name("handoff/spinning")->UseRealTime();

/// Calls so far apart that the workers have parked. Only the call is timed.
void parked(benchmark::State& state) {
  ThreadTeam& team = thread_team();
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const auto begin = std::chrono::steady_clock::now();
    team.run([](int worker, int) { benchmark::DoNotOptimize(worker); });
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}
BENCHMARK(parked)->Name("handoff/parked")->UseManualTime()->Iterations(50);

}  // namespace
}  // namespace cloze
