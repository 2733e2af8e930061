// The order of training rows: a pure function of (seed, epoch) and, by length, of the rows' lengths.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cloze/task/task.h"
#include "cloze/train/options.h"

namespace cloze {

enum class Batching : uint8_t {
  kShuffled,  ///< a fresh permutation each epoch
  kByLength,  ///< likewise, but rows of like length share a batch, and the batches come in random order
};

/// Errors: kUsage for another name than "shuffled" and "by-length".
Batching parse_batching(const std::string& name);

/// A permutation of 0 … rows-1 (Fisher-Yates).
std::vector<int64_t> shuffled_rows(int64_t rows, uint64_t seed, int64_t epoch);

/// A permutation whose runs of `batch` rows are the batches; a shorter last one comes last. Rows are shuffled, then
/// sorted by length within pools of 50 batches, so that batches stay different from epoch to epoch, then the whole
/// batches are shuffled.
std::vector<int64_t> rows_by_length(int64_t rows, int64_t batch, uint64_t seed, int64_t epoch,
                                    const std::function<int64_t(int64_t)>& length);

/// The order of an epoch (from 0) as the options ask for it.
std::vector<int64_t> epoch_order(const TrainingTask& task, const TrainOptions& options, int64_t epoch);

}  // namespace cloze
