#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>

#include "cloze/base/fields.h"
#include "cloze/base/memory.h"
#include "cloze/base/profile.h"
#include "cloze/base/thread_team.h"
#include "cloze/cli/command.h"
#include "cloze/cli/finetune_source.h"
#include "cloze/cli/job.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/train/event_file.h"
#include "cloze/train/memory_estimate.h"
#include "cloze/train/same_start.h"
#include "cloze/train/seeds.h"
#include "cloze/train/trainer.h"

namespace cloze::cli {
namespace {

std::atomic<bool> stop_asked{false};
extern "C" void ask_stop(int) {
  // A second signal ends the program at once.
  if (stop_asked.exchange(true)) std::_Exit(130);
}

struct Options {
  Source source;
  TrainOptions train;
  TableFlags table;
  ThreadsOption threads;
  ProfileFlag profile;
  std::string output;
  bool resume = false, overwrite = false, dry_run = false, tensorboard = false;
  int64_t checkpoint_steps = 0, seeds = 1;
};

class Watcher : public TrainObserver {
 public:
  void on_step(const StepInfo& info) override {
    tokens_ += info.tokens;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    progress_.update(
        info.step, info.total_steps,
        fmt::format("epoch {}  loss {:.4f}  {} tok/s", info.epoch, info.smooth_loss,
                    grouped(static_cast<int64_t>(static_cast<double>(tokens_) / std::max(seconds, 1e-9)))));
  }
  void on_evaluation(const EvaluationInfo& info) override {
    progress_.clear();
    std::string line = fmt::format("epoch {:<3} step {:<6} train loss {:.4f}", info.epoch, info.step, info.train_loss);
    for (const char* name : {"loss", "accuracy", "f1_macro"})
      for (const auto& [known, value] : info.dev.metrics)
        if (known == name) line += fmt::format("   dev {} {:.4f}", name, value);
    say(line + (info.best && info.dev.lengths.rows > 0 ? "   (best so far, saved)" : ""));
  }
  void on_message(const std::string& line) override {
    progress_.clear();
    say(line);
  }
  /// A new bar; the clock runs on.
  void next_run() { progress_ = Progress(); }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  Progress progress_;
  int64_t tokens_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

Json run_record(const Options& options) {
  Json run = Json::object();
  run["cloze"] = CLOZE_VERSION;
  for (const Json& part : {fields_to_json(options.source), fields_to_json(options.train)})
    for (const auto& [key, value] : part.items()) run[key] = value;
  const TableFlags& t = options.table;
  run["table"] = {{"format", t.format}, {"text", t.text},           {"text_pair", t.text_pair},
                  {"label", t.label},   {"no_header", t.no_header}, {"invalid_utf8", t.invalid_utf8}};
  run["threads"] = thread_team().size();
  return run;
}

std::unique_ptr<TrainingTask> make_task(const Options& options, int64_t seed) {
  const ProfilePhase phase("load");
  const TrainingSource source = resolve(options.source, options.table, seed);
  return find_task(options.source.task).train(source);
}

/// What would be done, without doing it: facts on stderr, the resolved configuration on stdout.
void rehearse(const Options& options) {
  const auto task = make_task(options, options.train.seed);
  for (const std::string& line : task->summary()) say(line);
  constexpr int64_t kRows = 3;
  for (int64_t row = 0; row < std::min(kRows, task->rows()); ++row)
    say(fmt::format("\nrow {} of {}\n{}", row + 1, task->rows(), task->preview(row)));
  say("\n" + describe(estimate_memory(*task, options.train), available_memory_bytes()));
  say(fmt::format("dry run: {} steps would be made; nothing was written", total_steps(*task, options.train)));
  Json run = run_record(options);
  run["inputs"] = task->fingerprint();
  write_out(dump_json(run));
  flush_out();
}

TrainResult run_one(const Options& options, int64_t seed, const Path& output, Watcher& watcher,
                    Communicator& communicator) {
  Options own = options;
  own.train.seed = seed;
  const Start start = options.resume ? Start::kResume : options.overwrite ? Start::kOverwrite : Start::kFresh;
  if (communicator.rank() == 0) check_output(output, start);
  const auto task = make_task(options, seed);
  for (const std::string& line : task->summary()) say(line);
  say(describe(estimate_memory(*task, own.train), available_memory_bytes()));
  ObserverList observers;
  observers.add(watcher);
  std::optional<EventObserver> events;
  if (options.tensorboard && communicator.rank() == 0) observers.add(events.emplace(output / "tensorboard"));
  return train(
      *task, own.train, run_record(own),
      {.output = output, .start = start, .checkpoint_steps = options.checkpoint_steps, .communicator = &communicator},
      observers, stop_asked);
}

void run_seeds(const Options& options, Communicator& communicator) {
  Watcher watcher;
  const auto run_seed = [&](int64_t seed, const Path& folder) {
    say(fmt::format("\n== seed {} ({} of {})", seed, seed - options.train.seed + 1, options.seeds));
    watcher.next_run();
    return run_one(options, seed, folder, watcher, communicator);
  };
  const SeedSummary summary = train_seeds(options.output, options.train.seed, options.seeds, run_seed, communicator);
  say(
      fmt::format("\n{} seeds: mean ± standard deviation on the dev rows\n{}done in {}: the model of seed {} is in {}, "
                  "the figures in {}",
                  options.seeds, summary.text(), clock_text(watcher.seconds()), summary.seeds[summary.best],
                  options.output, (Path(options.output) / kSeedsFile).string()));
}

void run(const Options& options, Communicator& communicator) {
  CLOZE_CHECK(!options.resume || !options.overwrite, ErrorCode::kUsage, "--resume and --overwrite exclude each other");
  options.threads.apply(communicator);
  options.train.check();
  check_passes(communicator, options.train);
  if (options.dry_run) {
    if (communicator.rank() == 0) rehearse(options);
    return;
  }
  CLOZE_CHECK(!options.output.empty(), ErrorCode::kUsage, "--output is needed: the folder for the trained model");
  std::signal(SIGINT, ask_stop);
  std::signal(SIGTERM, ask_stop);
  if (communicator.size() > 1) std::signal(SIGUSR1, ask_stop);  // mpirun hands it on, and ends the job at the others
  if (options.seeds != 1) return run_seeds(options, communicator);
  Watcher watcher;
  const TrainResult result = run_one(options, options.train.seed, options.output, watcher, communicator);
  if (result.was_complete)
    return say(
        fmt::format("the run in {} was finished already ({} steps): nothing to do", options.output, result.steps));
  if (result.best.lengths.rows > 0) say("\n" + result.best.text);
  if (result.stopped_early)
    say(fmt::format("stopped early: {} evaluations without a better one (--patience)", options.train.patience));
  if (result.metric.empty())
    say(fmt::format("done in {}: the last weights are in {} (give --dev to keep the best ones)",
                    clock_text(watcher.seconds()), options.output));
  else
    say(fmt::format("done in {}: best {} {:.4f} at step {} of {}; the model is in {}", clock_text(watcher.seconds()),
                    result.metric, result.best_value, result.best_step, result.steps, options.output));
}

}  // namespace

std::function<void()> setup_finetune(CLI::App& app) {
  auto options = std::make_shared<Options>();
  FieldBinder binder(app);
  options->source.visit(binder);
  app.get_option("--task")->required();
  app.get_option("--train")->required();
  app.add_option("--output", options->output, "folder for the trained model");
  app.add_flag("--resume", options->resume, "go on with the stopped run in --output");
  app.add_flag("--overwrite", options->overwrite, "replace what --output holds");
  app.add_flag("--dry-run", options->dry_run, "show configuration, first rows and memory needs, and do nothing");
  options->train.visit(binder);
  app.add_option("--seeds", options->seeds, "train with so many seeds, --seed and the next ones; keep the best model")
      ->capture_default_str();
  app.add_option("--checkpoint-steps", options->checkpoint_steps,
                 "save the state every so many steps; 0: after evaluations and every two minutes")
      ->capture_default_str();
  app.add_flag("--tensorboard", options->tensorboard, "write TensorBoard event files to OUTPUT/tensorboard");
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  options->profile.add(app);
  return [options] {
    run_in_job([&](Communicator& communicator) { options->profile.run([&] { run(*options, communicator); }); });
  };
}

}  // namespace cloze::cli
