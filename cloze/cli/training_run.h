// What the commands that train share: the flags of a run, its progress, its interruption.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "cloze/cli/output.h"
#include "cloze/train/communicator.h"
#include "cloze/train/trainer.h"

namespace cloze::cli {

/// --output, --resume, …: how a run is carried out, not what it computes.
struct RunFlags {
  std::string output;
  bool resume = false, overwrite = false, dry_run = false, tensorboard = false;
  int64_t checkpoint_steps = 0;
  void add(CLI::App& app);
  Start start() const { return resume ? Start::kResume : overwrite ? Start::kOverwrite : Start::kFresh; }
  /// Errors: kUsage for flags that exclude each other.
  void check() const;
};

/// Says what happens, with a bar.
class Watcher : public TrainObserver {
 public:
  void on_step(const StepInfo& info) override;
  void on_evaluation(const EvaluationInfo& info) override;
  void on_message(const std::string& line) override;
  /// A new bar; the clock runs on.
  void next_run() { progress_ = Progress(); }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  Progress progress_;
  int64_t tokens_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

using MakeTask = std::function<std::unique_ptr<TrainingTask>()>;

/// From now on an interrupt ends a run after the step in hand; a second one ends the program.
void catch_interrupts(const Communicator& communicator);
/// Whether this process may stop on its own now; always false in a job of several, who agree after a step.
bool interrupted();

/// Errors: kUsage where `output` is the folder of `model` (either may be empty or missing).
void refuse_same_folder(const Path& output, const char* option, const Path& model);

/// Trains into `output`, on all processes of the job. `record` is what the run depends on, for run.json.
TrainResult run_training(const MakeTask& make_task, const TrainOptions& train_options, Json record,
                         const RunFlags& flags, const Path& output, Watcher& watcher, Communicator& communicator);

/// What would be done, without doing it: facts on stderr, the resolved configuration on stdout. Takes `rows` rows at
/// most.
void rehearse(const MakeTask& make_task, const TrainOptions& train_options, Json record, int64_t rows);

/// The closing lines of a run. `without_dev` says how to get rows that choose the best weights.
void say_result(const TrainResult& result, const TrainOptions& train_options, const RunFlags& flags,
                const Watcher& watcher, std::string_view without_dev);

}  // namespace cloze::cli
