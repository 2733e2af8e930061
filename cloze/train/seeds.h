// One run a seed, and what their results scatter by.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cloze/train/trainer.h"

namespace cloze {

struct SeedSummary {
  /// One a seed, in order.
  std::vector<int64_t> seeds;
  std::vector<TrainResult> results;
  struct Spread {
    std::string metric;
    double mean, deviation;  ///< deviation with n - 1; NaN of one seed
  };
  std::vector<Spread> spreads;  ///< of the dev rows' metrics at each run's best step
  size_t best = 0;              ///< the run whose model was copied to the output folder

  std::string text() const;
  Json json() const;
};

inline constexpr const char* kSeedsFile = "seeds.json";

/// Where the run of a seed is: OUTPUT/seed-42.
Path seed_folder(const Path& output, int64_t seed);

/// Runs `run` for `count` seeds from `first` on, each into its seed_folder, then copies the best run's model to
/// `output` and writes kSeedsFile there. Without dev rows the first run's model is taken. Of several processes rank 0
/// writes, and the others' summary has no figures. Errors: those of `run`; kIo.
SeedSummary train_seeds(const Path& output, int64_t first, int64_t count,
                        const std::function<TrainResult(int64_t seed, const Path& folder)>& run,
                        const Communicator& communicator = alone());

}  // namespace cloze
