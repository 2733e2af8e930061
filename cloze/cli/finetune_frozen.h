// `cloze finetune --encoder frozen`: a classical classifier on the vectors of an encoder that stays as it is; and
// --features, which it shares with training.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cloze/cli/finetune_source.h"
#include "cloze/cli/training_run.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {

struct FrozenFlags {
  std::string encoder = "trained";
  FrozenOptions options;
  /// --encoder and the classifier's options.
  void add(CLI::App& app);
  /// Whether the encoder is to stay as it is. Errors: kUsage for another word, and for options that were given (to
  /// `app`) but belong to the other way.
  bool frozen(const CLI::App& app) const;
  /// Of training: has `source` join what --features names. Errors: kUsage.
  void join_features(TrainingSource& source) const;
};

/// Fits and saves. `record` is what the run depends on, for run.json.
void run_frozen(const TrainingSource& source, const FrozenFlags& frozen, const RunFlags& flags, Json record);

}  // namespace cloze::cli
