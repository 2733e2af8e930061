// The trainer: epochs, steps, evaluation, best weights, resume. It knows tasks only through TrainingTask.
//
// Reproducible: the order of rows is a pure function of (seed, epoch), dropout of (seed, pass); so a run's state is
// its step count, weights, moments and log, and a resumed run has the bits of one that never stopped.
#pragma once

#include <atomic>
#include <string>

#include "cloze/base/json.h"
#include "cloze/io/model_dir.h"
#include "cloze/task/task.h"
#include "cloze/train/options.h"

namespace cloze {

struct StepInfo {
  int64_t step, total_steps;  ///< step counts from 1
  int64_t epoch;              ///< from 1
  double loss;                ///< mean over the last steps, exponentially weighted
  double learning_rate, gradient_norm;
  int64_t tokens;  ///< of this step
};

struct EvaluationInfo {
  int64_t step, epoch;
  double train_loss;  ///< mean over the steps since the last evaluation
  Evaluation dev;
  bool best;  ///< the weights of this step were kept
};

/// Hears what happens. Called on the trainer's thread.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_step(const StepInfo&) = 0;
  virtual void on_evaluation(const EvaluationInfo&) = 0;
  virtual void on_message(const std::string& line) = 0;
};

enum class Start : uint8_t {
  kFresh,      ///< the output folder must not hold a model or a run yet
  kOverwrite,  ///< whatever it holds is replaced
  kResume,     ///< go on where the run in the folder stopped
};

struct TrainResult {
  int64_t steps = 0;
  int64_t best_step = 0;
  std::string metric;  ///< that chose the best weights; empty without dev rows
  double best_value = 0;
  Evaluation best;            ///< at the best step; empty if a resumed run did not better it
  bool was_complete = false;  ///< nothing was left to do
};

/// Before the task is built: checks that `output` may be used so. Errors: kUsage, with what to do.
void check_output(const Path& output, Start start);

/// Trains and leaves in `output`: the model directory with the best weights, run.json (the resolved configuration),
/// metrics.jsonl (one line an evaluation), and while it runs resume.safetensors.
/// `run` is everything that the run's bits depend on; a resumed run must have the same.
/// `stop`, when set, ends the run after the step in hand; its state is kept.
/// Errors: kInterrupted after such a stop; kUsage where a resumed run's configuration differs (with the differences).
TrainResult train(TrainingTask& task, const TrainOptions& options, const Json& run, const Path& output, Start start,
                  TrainObserver& observer, const std::atomic<bool>& stop);

}  // namespace cloze
