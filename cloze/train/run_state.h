// resume.safetensors: the whole state of a run between two steps, in one file, replaced atomically.
#pragma once

#include <string>
#include <vector>

#include "cloze/base/json.h"
#include "cloze/io/model_dir.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/average.h"

namespace cloze {

/// Where a run stands, beside its tensors.
struct RunState {
  int64_t step = 0;     ///< steps done
  double loss_sum = 0;  ///< since the last evaluation
  int64_t loss_steps = 0;
  std::vector<double> sums;  ///< TrainingTask::training_sums()
  double seconds = 0;        ///< of training so far
  int64_t best_step = 0;     ///< 0: no evaluation yet
  double best_value = 0;
  int64_t since_best = 0;     ///< evaluations since the last one that was better by min_delta
  double patience_value = 0;  ///< what the next one must better for that
  std::string best_metrics;   ///< the best evaluation's line of metrics.jsonl
  std::string log;            ///< metrics.jsonl so far
  std::string frozen;         ///< checksum_of_frozen(): those weights are not kept, they are the model's
};

inline constexpr const char* kResumeFile = "resume.safetensors";
inline constexpr const char* kRunFile = "run.json";
inline constexpr const char* kLogFile = "metrics.jsonl";

/// Errors: kUsage where a run's configuration differs from the one that it was started with, with the differences.
void refuse_other_run(Json before, Json now, const Path& where);

/// Hexadecimal; empty where all are trained.
std::string checksum_of_frozen(const ParameterList& parameters);

/// `average` may be null.
void save_run_state(const ModelFiles& files, const RunState& state, const Json& run, const AdamW& optimizer,
                    const WeightAverage* average = nullptr);

/// Fills the optimizer's parameters and moments, and the average if there is one. Errors: kUsage where `run` differs
/// from the file's, with the differences; kFormat, kNotFound, kShape, kValue for a file that is not of this run or is
/// damaged. `total_steps`: 0 where any number may be.
RunState load_run_state(const ModelFiles& files, const Json& run, int64_t total_steps, AdamW& optimizer,
                        WeightAverage* average = nullptr);

}  // namespace cloze
