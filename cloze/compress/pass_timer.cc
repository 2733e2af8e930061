#include "cloze/compress/pass_timer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "cloze/base/processor_time.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

double wall_seconds(const Pass& pass) {
  const auto begin = std::chrono::steady_clock::now();
  pass();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A call from inside a worker of the team runs on that worker alone.
double processor_seconds(const Pass& pass) {
  double seconds = 0;
  thread_team().run([&](int worker, int) {
    if (worker != 0) return;
    const double begin = thread_cpu_seconds();
    pass();
    seconds = thread_cpu_seconds() - begin;
  });
  return seconds;
}

}  // namespace

std::vector<double> time_passes(std::span<const Pass> passes, PassRuns often, PassClock clock) {
  std::vector<double> least(passes.size(), std::numeric_limits<double>::infinity());
  const auto seconds_of = clock == PassClock::kWall ? wall_seconds : processor_seconds;
  for (const Pass& pass : passes) seconds_of(pass);
  double all = 0;
  for (int64_t run = 0; run < often.runs || (all < often.least_seconds && run < 50 * often.runs); ++run)
    for (size_t i = 0; i < passes.size(); ++i) {
      const double seconds = seconds_of(passes[i]);
      least[i] = std::min(least[i], seconds);
      all += seconds;
    }
  return least;
}

double times_as_fast(const Pass& before, const Pass& after, PassRuns often) {
  const std::array<Pass, 2> both = {before, after};
  const ProcessorWait wait;
  std::vector<double> seconds = time_passes(both, often, PassClock::kWall);
  if (wait.busy()) seconds = time_passes(both, often, PassClock::kProcessor);
  return seconds[0] / seconds[1];
}

}  // namespace cloze
