// `cloze finetune --adapt`: masked words on unlabelled text of the task, before the task itself ("task-adaptive
// pretraining": Gururangan et al., "Don't Stop Pretraining", 2020).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cloze/cli/options.h"
#include "cloze/cli/training_run.h"

namespace cloze::cli {

struct AdaptFlags {
  std::vector<std::string> files;
  std::string documents = "line";
  int64_t epochs = 5, max_length = 128;
  double learning_rate = 2e-4, mask_rate = 0.15;

  void add(CLI::App& app);
  bool asked() const { return !files.empty(); }
  /// Errors: kUsage, also for --adapt-… without --adapt, given to `app`.
  void check(const CLI::App& app) const;
  /// For run.json; empty where nothing is asked.
  Json record() const;
};

/// Trains `model` on the files' texts into OUTPUT/adapted, a model directory of its own, and returns its path. Goes on
/// with a run that was stopped there, and leaves a finished one alone, where `flags` say --resume. Tables (.tsv, .csv,
/// .jsonl) give their text columns. `train` gives seed and precision. Errors: those of pretraining.
Path adapt_model(const AdaptFlags& adapt, const std::string& model, const TableFlags& table, const TrainOptions& train,
                 const RunFlags& flags, Watcher& watcher, Communicator& communicator);

}  // namespace cloze::cli
