// The trainer: epochs, steps, evaluation, best weights, resume. It knows tasks only through TrainingTask.
//
// Reproducible: the order of rows is a pure function of (seed, epoch), dropout of (seed, pass); so a run's state is
// its step count, weights, moments and log, and a resumed run has the bits of one that never stopped.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "cloze/base/json.h"
#include "cloze/io/model_dir.h"
#include "cloze/task/task.h"
#include "cloze/train/communicator.h"
#include "cloze/train/options.h"

namespace cloze {

struct StepInfo {
  int64_t step, total_steps;  ///< step counts from 1; total_steps is 0 where time counts
  int64_t epoch;              ///< from 1
  double loss;                ///< of this step
  double smooth_loss;         ///< mean over the last steps, exponentially weighted
  double learning_rate, gradient_norm;
  int64_t tokens;  ///< of this step
  double seconds;  ///< of the run so far, stops not counted
  double budget;   ///< seconds that it may take; 0: total_steps counts
};

struct EvaluationInfo {
  int64_t step, epoch;
  double train_loss;  ///< mean over the steps since the last evaluation
  MetricList train;   ///< what the task has beside it (TrainingTask::training_metrics)
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

/// Several observers as one; they must outlive it.
class ObserverList : public TrainObserver {
 public:
  void add(TrainObserver& observer) { observers_.push_back(&observer); }
  void on_step(const StepInfo& info) override {
    for (TrainObserver* observer : observers_) observer->on_step(info);
  }
  void on_evaluation(const EvaluationInfo& info) override {
    for (TrainObserver* observer : observers_) observer->on_evaluation(info);
  }
  void on_message(const std::string& line) override {
    for (TrainObserver* observer : observers_) observer->on_message(line);
  }

 private:
  std::vector<TrainObserver*> observers_;
};

enum class Start : uint8_t {
  kFresh,      ///< the output folder must not hold a model or a run yet
  kOverwrite,  ///< whatever it holds is replaced
  kResume,     ///< go on where the run in the folder stopped
};

/// How a run is carried out: nothing here changes its bits, but that more processes add gradients in another order.
struct RunSettings {
  Path output;
  Start start = Start::kFresh;
  /// Save the state every so many steps; 0: after evaluations, and whenever two minutes have passed since.
  int64_t checkpoint_steps = 0;
  /// The processes that train together; null: this one alone. Rank 0 evaluates, writes and is observed; the others only
  /// compute, and their result tells steps alone.
  Communicator* communicator = nullptr;
};

struct TrainResult {
  int64_t steps = 0;
  int64_t best_step = 0;
  std::string metric;  ///< that chose the best weights; empty without dev rows
  double best_value = 0;
  MetricList best_metrics;     ///< of the dev rows at the best step
  Evaluation best;             ///< at the best step; empty if a resumed run did not better it
  bool was_complete = false;   ///< nothing was left to do
  bool stopped_early = false;  ///< --patience ended it
};

/// Before the task is built: checks that `output` may be used so. Errors: kUsage, with what to do.
void check_output(const Path& output, Start start);

/// Whether a smaller value of the metric is the better one: losses and perplexity.
bool less_is_better(const std::string& metric);

/// Optimizer steps of a whole run; 0 where --time-budget ends it.
int64_t total_steps(const TrainingTask& task, const TrainOptions& options);

/// Trains and leaves in `settings.output`: the model directory with the best weights, run.json (the resolved
/// configuration), metrics.jsonl (one line an evaluation), and while it runs resume.safetensors. `run` is everything
/// that the run's bits depend on; a resumed run must have the same. The task's fingerprint (data and model) is added to
/// it under "inputs". `stop`, when set, ends the run after the step in hand; its state is kept. One process at a time
/// may train into a folder; processes that train together count as one, and a stop asked of one of them stops all after
/// the same step. Errors: kInterrupted after such a stop; kUsage where a resumed run's configuration differs (with the
/// differences), where another process trains into the folder, or where processes that train together are not alike.
TrainResult train(TrainingTask& task, const TrainOptions& options, Json run, const RunSettings& settings,
                  TrainObserver& observer, const std::atomic<bool>& stop);

}  // namespace cloze
