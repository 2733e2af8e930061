// Heads and neurons go in rounds: what the rest is worth changes with what goes, so the last head of all looks as cheap
// as the first until it is asked again.
#pragma once

#include <functional>
#include <string>

#include "cloze/compress/choose_structure.h"

namespace cloze {

/// What pruning is after.
struct PruneGoal {
  enum class Of : uint8_t { kShares, kSeconds, kBytes };
  Of of = Of::kShares;
  KeepShares shares;  ///< of kShares
  double factor = 1;  ///< of the others: so many times as fast, or as small
  int64_t rounds = 1;
  LatencyOptions latency;  ///< pooled: as the model has a pooler, whatever is said here
};

/// What the rounds need done. `round` is for people, ", round 2 of 4", perhaps empty.
struct PruneWork {
  Path folder;  ///< gets the models of the rounds, each in a folder of its own, of which the last stays
  std::function<Importance(const Path& model, const BertConfig& config, const std::string& round)> weigh;
  std::function<void(const std::string&)> say;
  /// After each round: the model to go on from, trained again perhaps; may be empty.
  std::function<Path(const Path& model, int64_t round)> recover = {};
  /// False where the model has lost too much: the one before it is the result. May be empty.
  std::function<bool(const Path& model)> within = {};
};

/// Goes from the model of folder `model` towards the goal; gives the folder of what came of it, which may be `model`
/// itself. Errors: OutOfReach for a goal that cannot be met, with the best that can; those of the work.
Path prune_in_rounds(const Path& model, const PruneGoal& goal, const PruneWork& work);

}  // namespace cloze
