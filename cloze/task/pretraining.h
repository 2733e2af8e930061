// Pretraining: masked words and a sentence objective (Devlin et al., 2019, section 3.1), from random weights or onward
// from any checkpoint.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cloze/data/masking.h"
#include "cloze/data/pretraining_rows.h"
#include "cloze/task/pretraining_teacher.h"
#include "cloze/task/task.h"

namespace cloze {

struct PretrainingOptions {
  std::string model;  ///< a model directory to go on from; empty: from scratch with `scratch_config` and `vocab`
  std::string vocab;  ///< vocab.txt or a model directory
  bool cased = false;
  BertConfig scratch_config;
  std::vector<Path> corpora;
  std::vector<double> weights;  ///< one a corpus, or none: all 1
  Path cache_dir;               ///< where token caches are kept; made if need be
  TokenCacheOptions cache;
  PretrainingRowOptions rows;
  MaskingOptions masking;
  int64_t evaluation_rows = 1024;  ///< of the held-out rows, at most
  double dropout = -1;             ///< of this training, unless negative; the saved config keeps the model's own
  /// How weights from scratch begin: from counts (pretraining_start.h), which needs seconds and memory, at random, or
  /// whatever they are, because a stopped run's replace them or none are needed.
  enum class Start : uint8_t { kCounts, kRandom, kLater } start = Start::kCounts;
  bool half_width = false;  ///< save the model's weights as f16
  PretrainingTeacherOptions teacher = {};
};

/// Where and how far a cache is being built.
using PretrainingProgress = std::function<void(const Path& corpus, int64_t bytes)>;

/// Reads or builds the token caches. Errors: those of TokenCache, PretrainingRows, Masker and PretrainingTeacher;
/// kUsage; kFormat where tokenizer and model do not belong together.
std::unique_ptr<TrainingTask> make_pretraining(const PretrainingOptions& options,
                                               const PretrainingProgress& progress = {});

}  // namespace cloze
