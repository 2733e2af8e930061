#include "cloze/cli/training_run.h"

#include <atomic>
#include <csignal>
#include <optional>

#include "cloze/base/memory.h"
#include "cloze/train/event_file.h"
#include "cloze/train/memory_estimate.h"
#include "cloze/train/trained_part.h"
#include "cloze/train/tuning.h"

namespace cloze::cli {
namespace {

std::atomic<bool> stop_asked{false};
bool stops_alone = true;  ///< of several processes none may stop before all have agreed
extern "C" void ask_stop(int) {
  // A second signal ends the program at once.
  if (stop_asked.exchange(true)) std::_Exit(130);
}

/// The task as it will be trained, told.
std::unique_ptr<TrainingTask> make_tuned(const MakeTask& make_task, const TrainOptions& options) {
  auto task = make_task();
  apply_tuning(*task, options);
  for (const std::string& line : task->summary()) say(line);
  const ParameterList all = all_parameters(*task);
  if (trained_of(all).size() < all.size()) say(describe_trained(all));
  return task;
}

}  // namespace

void RunFlags::add(CLI::App& app) {
  app.add_option("--output", output, "folder for the trained model");
  app.add_flag("--resume", resume, "go on with the stopped run in --output");
  app.add_flag("--overwrite", overwrite, "replace what --output holds");
  app.add_flag("--dry-run", dry_run, "show configuration, first rows and memory needs, and do nothing");
  app.add_option("--checkpoint-steps", checkpoint_steps,
                 "save the state every so many steps; 0: after evaluations and every two minutes")
      ->capture_default_str();
  app.add_flag("--tensorboard", tensorboard, "write TensorBoard event files to OUTPUT/tensorboard");
}

void RunFlags::check() const {
  CLOZE_CHECK(!resume || !overwrite, ErrorCode::kUsage, "--resume and --overwrite exclude each other");
  CLOZE_CHECK(dry_run || !output.empty(), ErrorCode::kUsage, "--output is needed: the folder for the trained model");
}

void refuse_same_folder(const Path& output, const char* option, const Path& model) {
  std::error_code error;
  CLOZE_CHECK(output.empty() || model.empty() || !std::filesystem::equivalent(output, model, error) || error,
              ErrorCode::kUsage, "--output {} is {} itself, which a stopped run would lose; choose another folder",
              output.string(), option);
}

void Watcher::on_step(const StepInfo& info) {
  tokens_ += info.tokens;
  const std::string details =
      fmt::format("epoch {}  loss {:.4f}  {} tok/s", info.epoch, info.smooth_loss,
                  grouped(static_cast<int64_t>(static_cast<double>(tokens_) / std::max(seconds(), 1e-9))));
  if (info.budget > 0) {
    // The bar counts the seconds of the budget.
    progress_.update(static_cast<int64_t>(std::min(info.seconds, info.budget)), static_cast<int64_t>(info.budget),
                     fmt::format("s  step {}  {}", info.step, details));
  } else {
    progress_.update(info.step, info.total_steps, details);
  }
}

void Watcher::on_evaluation(const EvaluationInfo& info) {
  progress_.clear();
  std::string line = fmt::format("epoch {:<3} step {:<6} train loss {:.4f}", info.epoch, info.step, info.train_loss);
  for (const char* name :
       {"loss", "accuracy", "f1_macro", "perplexity", "mlm_accuracy", "nsp_accuracy", "sop_accuracy"})
    for (const auto& [known, value] : info.dev.metrics)
      if (known == name) line += fmt::format("   dev {} {:.4f}", name, value);
  say(line + (info.best && info.dev.lengths.rows > 0 ? "   (best so far, saved)" : ""));
}

void Watcher::on_message(const std::string& line) {
  progress_.clear();
  say(line);
}

void catch_interrupts(const Communicator& communicator) {
  stops_alone = communicator.size() == 1;
  std::signal(SIGINT, ask_stop);
  std::signal(SIGTERM, ask_stop);
  if (communicator.size() > 1) std::signal(SIGUSR1, ask_stop);  // mpirun hands it on, and ends the job at the others
}

bool interrupted() {
  return stops_alone && stop_asked;
}

TrainResult run_training(const MakeTask& make_task, const TrainOptions& train_options, Json record,
                         const RunFlags& flags, const Path& output, Watcher& watcher, Communicator& communicator) {
  if (communicator.rank() == 0) check_output(output, flags.start());
  const auto task = make_tuned(make_task, train_options);
  say(describe(estimate_memory(*task, train_options), available_memory_bytes()));
  ObserverList observers;
  observers.add(watcher);
  std::optional<EventObserver> events;
  if (flags.tensorboard && communicator.rank() == 0) observers.add(events.emplace(output / "tensorboard"));
  return train(*task, train_options, std::move(record),
               {.output = output,
                .start = flags.start(),
                .checkpoint_steps = flags.checkpoint_steps,
                .communicator = &communicator},
               observers, stop_asked);
}

void rehearse(const MakeTask& make_task, const TrainOptions& train_options, Json record, int64_t rows) {
  const auto task = make_tuned(make_task, train_options);
  for (int64_t row = 0; row < std::min(rows, task->rows()); ++row)
    say(fmt::format("\nrow {} of {}\n{}", row + 1, task->rows(), task->preview(row)));
  say("\n" + describe(estimate_memory(*task, train_options), available_memory_bytes()));
  const int64_t steps = total_steps(*task, train_options);
  say(steps > 0 ? fmt::format("dry run: {} steps would be made; nothing was written", steps)
                : fmt::format("dry run: steps would be made for {}; nothing was written", train_options.time_budget));
  record["inputs"] = task->fingerprint();
  write_out(dump_json(record));
  flush_out();
}

void say_result(const TrainResult& result, const TrainOptions& train_options, const RunFlags& flags,
                const Watcher& watcher, std::string_view without_dev) {
  if (result.was_complete)
    return say(fmt::format("the run in {} was finished already ({} steps): nothing to do", flags.output, result.steps));
  if (result.best.lengths.rows > 0) say("\n" + result.best.text);
  if (result.stopped_early)
    say(fmt::format("stopped early: {} evaluations without a better one (--patience)", train_options.patience));
  if (result.metric.empty())
    say(fmt::format("done in {}: the last weights are in {} ({})", clock_text(watcher.seconds()), flags.output,
                    without_dev));
  else
    say(fmt::format("done in {}: best {} {:.4f} at step {} of {}; the model is in {}", clock_text(watcher.seconds()),
                    result.metric, result.best_value, result.best_step, result.steps, flags.output));
}

}  // namespace cloze::cli
