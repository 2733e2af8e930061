// What a model is worth on labelled rows.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/metrics/paired.h"

namespace cloze {

struct Judgement {
  int64_t rows = 0;
  std::vector<std::pair<std::string, double>> metrics;  ///< as `evaluate` gives them
  /// 1 for each row whose class was found; empty where the task is not to choose one class a row.
  std::vector<uint8_t> right;
  double seconds = 0;  ///< tokenizing and answering all rows, the model loaded; the least of several

  /// What the model is judged by: "accuracy", or of tasks without it their first metric that is no loss.
  std::pair<std::string, double> headline() const;
  int64_t right_count() const;
  /// "loss", NaN where there is none.
  double loss() const;
};

/// Runs `model` (its own task, or `task`) over the rows of `file`, which are read as `options` say. Errors: those of
/// loading, reading and evaluating; kValue for no rows.
Judgement judge(const Path& model, const std::string& task, const std::string& file, const ExampleOptions& options,
                int64_t runs = 1);

/// On how many rows one of the two was right alone. Both must have `right` of the same rows.
PairedCounts pair_up(const Judgement& first, const Judgement& second);

}  // namespace cloze
