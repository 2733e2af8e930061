// Passes against the clock, side by side, on machines that do other things too.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace cloze {

using Pass = std::function<void()>;

enum class PassClock : uint8_t {
  kWall,       ///< the time that the team's threads take, which is what a user waits for
  kProcessor,  ///< the processor time of a pass on one thread, which other programs on the machine hardly touch
};

/// How often passes are run: each `runs` times at least, and on until all took `least_seconds` together or each ran 50
/// times as often. Short passes are the rough ones.
struct PassRuns {
  int64_t runs = 7;
  double least_seconds = 1;
};

/// The least seconds of each pass, all in turns so that a noisy moment hits none alone, after one that does not count.
std::vector<double> time_passes(std::span<const Pass> passes, PassRuns often, PassClock clock);

/// How many times as fast as `before` `after` is: by the wall, or where the threads had to wait for processors, so that
/// the wall says little, by processor time.
double times_as_fast(const Pass& before, const Pass& after, PassRuns often);

}  // namespace cloze
