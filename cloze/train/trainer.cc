#include "cloze/train/trainer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "cloze/base/folder_lock.h"
#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"
#include "cloze/ops/var.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/train/gradient_reducer.h"
#include "cloze/train/output_folder.h"
#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"
#include "cloze/train/sampler.h"

namespace cloze {
namespace {

/// One run, from its first or resumed step to its last.
class Run {
 public:
  Run(TrainingTask& task, const TrainOptions& options, const Json& run, const RunSettings& settings,
      const ModelFiles& files, Communicator& communicator, TrainObserver& observer, const std::atomic<bool>& stop)
      : task_(task),
        options_(options),
        run_(run),
        settings_(settings),
        files_(files),
        communicator_(communicator),
        observer_(observer),
        stop_(stop),
        optimizer_(task.parameters(),
                   {.weight_decay = options.weight_decay, .moments = parse_moment_type(options.optimizer_state)}),
        metric_(options.save_best.empty() ? task.headline_metric() : options.save_best),
        precision_(parse_training_precision(options.precision)),
        reducer_(communicator, task.parameters()) {
    total_steps_ = total_steps(task, options);
    steps_per_epoch_ = total_steps_ / options.epochs;
    schedule_ = {
        .peak = options.learning_rate,
        .warmup_steps = static_cast<int64_t>(std::llround(options.warmup_ratio * static_cast<double>(total_steps_))),
        .total_steps = total_steps_,
        .decline = parse_decline(options.schedule)};
  }

  TrainResult go(Start start) {
    if (start == Start::kResume) {
      if (writes()) state_ = load_run_state(files_, run_, total_steps_, optimizer_);
      share_run_state(communicator_, state_, optimizer_);
      observer_.on_message(fmt::format("resumed at step {} of {}", state_.step, total_steps_));
    } else if (writes()) {
      files_.write_json(kRunFile, run_);
    }
    if (writes()) write_file(files_.path(kLogFile), state_.log);
    check_same_weights(communicator_, optimizer_.parameters(), "at the start");
    while (state_.step < total_steps_ && !out_of_patience()) {
      one_step();
      const bool epoch_ends = state_.step % steps_per_epoch_ == 0;
      const bool due = options_.eval_steps > 0 ? state_.step % options_.eval_steps == 0 : epoch_ends;
      const bool last = state_.step == total_steps_;
      if (due || last) evaluate();
      if (last || out_of_patience()) break;
      const bool stops = stopping();
      if (writes() && (stops || due || checkpoint_due())) save();
      if (stops)
        fail(ErrorCode::kInterrupted, "stopped after step {} of {}; go on with the same command and --resume",
             state_.step, total_steps_);
    }
    return finish();
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// One process writes and evaluates for all.
  bool writes() const { return communicator_.rank() == 0; }

  /// The same on all processes: several have agreed at the end of the step.
  bool stopping() const { return communicator_.size() > 1 ? stop_agreed_ : stop_.load(std::memory_order_relaxed); }

  bool out_of_patience() const { return options_.patience > 0 && state_.since_best >= options_.patience; }

  bool checkpoint_due() const {
    if (settings_.checkpoint_steps > 0) return state_.step % settings_.checkpoint_steps == 0;
    return Clock::now() - saved_ > std::chrono::minutes(2);
  }

  void save() {
    const ProfilePhase phase("save");
    save_run_state(files_, state_, run_, optimizer_);
    saved_ = Clock::now();
  }

  void one_step() {
    const int64_t epoch = state_.step / steps_per_epoch_;
    if (epoch != epoch_) {
      epoch_ = epoch;
      order_ = epoch_order(task_, options_, epoch);
    }
    const int64_t first = state_.step % steps_per_epoch_ * options_.gradient_accumulation * options_.batch_size;
    const int64_t last = std::min(task_.rows(), first + options_.gradient_accumulation * options_.batch_size);
    const auto weight_of = [&](int64_t begin, int64_t end) {
      double sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += task_.weight(order_[static_cast<size_t>(i)]);
      return sum;
    };
    const double step_weight = weight_of(first, last);
    const int64_t passes = (last - first + options_.batch_size - 1) / options_.batch_size;
    double loss = 0;
    int64_t tokens = 0;
    for (int64_t i = first; i < last; ++i) tokens += task_.tokens(order_[static_cast<size_t>(i)]);
    for (int64_t index = 0; index < passes; ++index) {
      if (!reducer_.runs(index)) continue;
      const int64_t begin = first + index * options_.batch_size, end = std::min(last, begin + options_.batch_size);
      const std::span<const int64_t> rows(order_.data() + begin, static_cast<size_t>(end - begin));
      const uint64_t pass = static_cast<uint64_t>(state_.step) * static_cast<uint64_t>(options_.gradient_accumulation) +
                            static_cast<uint64_t>(index);
      ForwardContext context =
          ForwardContext::training(static_cast<uint64_t>(options_.seed), pass, options_.activations(), precision_);
      ProfilePhase phase("forward");
      const Var value = task_.loss(rows, context);
      // Passes weigh as their rows do, so that accumulation makes no difference, also where the last pass is shorter.
      const double share = step_weight > 0 ? weight_of(begin, end) / step_weight : 0;
      loss += share * static_cast<double>(*value.value().data<float>());
      phase.next("backward");
      backward(value, share, reducer_.listener(index, passes));
    }
    double sums[] = {loss, stop_.load(std::memory_order_relaxed) ? 1.0 : 0.0};
    reducer_.reduce(sums);
    loss = sums[0];
    stop_agreed_ = sums[1] > 0;
    ProfilePhase phase("optimizer");
    const double norm = optimizer_.gradient_norm();
    CLOZE_CHECK(
        std::isfinite(loss) && std::isfinite(norm), ErrorCode::kValue,
        "step {}: the loss is {} and the gradient norm {}; lower --learning-rate (now {}) or raise --warmup-ratio",
        state_.step + 1, loss, norm, options_.learning_rate);
    const double rate = schedule_.rate(state_.step);
    const bool clip = options_.max_grad_norm > 0 && norm > options_.max_grad_norm;
    optimizer_.step(rate, clip ? options_.max_grad_norm / (norm + 1e-6) : 1.0);
    phase.next("report");
    ++state_.step;
    state_.loss_sum += loss;
    ++state_.loss_steps;
    smooth_loss_ = std::isnan(smooth_loss_) ? loss : 0.95 * smooth_loss_ + 0.05 * loss;
    observer_.on_step({.step = state_.step,
                       .total_steps = total_steps_,
                       .epoch = epoch + 1,
                       .loss = loss,
                       .smooth_loss = smooth_loss_,
                       .learning_rate = rate,
                       .gradient_norm = norm,
                       .tokens = tokens});
  }

  void evaluate() {
    check_same_weights(communicator_, optimizer_.parameters(), fmt::format("after step {}", state_.step));
    if (writes()) evaluate_here();
    share_outcome(communicator_, state_);
    state_.loss_sum = 0;
    state_.loss_steps = 0;
  }

  void evaluate_here() {
    ProfilePhase phase("evaluate");
    EvaluationInfo info{.step = state_.step,
                        .epoch = (state_.step + steps_per_epoch_ - 1) / steps_per_epoch_,
                        .train_loss = state_.loss_sum / static_cast<double>(std::max<int64_t>(1, state_.loss_steps)),
                        .dev = {},
                        .best = false};
    JsonLine line;
    line.begin_object().member("step", info.step).member("epoch", info.epoch).member("train_loss", info.train_loss);
    if (task_.has_dev()) {
      info.dev = task_.evaluate();
      for (const auto& [name, value] : info.dev.metrics) line.member("dev_" + name, value);
      const double found = metric_value(info.dev.metrics, metric_) * (metric_ == "loss" ? -1 : 1);
      const double value = std::isnan(found) ? -std::numeric_limits<double>::infinity() : found;
      info.best = state_.best_step == 0 || value > state_.best_value;
      const bool gained = state_.best_step == 0 || value > state_.patience_value + options_.min_delta;
      state_.since_best = gained ? 0 : state_.since_best + 1;
      if (gained) state_.patience_value = value;
      if (info.best) state_.best_value = value;
    } else {
      info.best = true;  // without dev rows the last weights are the ones to keep
    }
    line.end_object();
    phase.next("save");
    if (info.best) {
      state_.best_step = state_.step;
      state_.best_metrics = line.text();
      best_ = info.dev;
      task_.save(files_);
    }
    state_.log += line.text() + "\n";
    write_file(files_.path(kLogFile), state_.log);
    observer_.on_evaluation(info);
  }

  TrainResult finish() {
    TrainResult result{.steps = state_.step,
                       .best_step = state_.best_step,
                       .metric = task_.has_dev() ? metric_ : "",
                       .best_value = metric_ == "loss" ? -state_.best_value : state_.best_value,
                       .best_metrics = {},
                       .best = best_,
                       .was_complete = false,
                       .stopped_early = out_of_patience() && state_.step < total_steps_};
    if (!writes()) return result;
    const Json best = parse_json(state_.best_metrics, kLogFile);
    result.best_metrics = dev_metrics(best);
    Json done = run_;
    done["finished"] = {{"steps", result.steps},
                        {"stopped_early", result.stopped_early},
                        {"metric", result.metric},
                        {"best_step", result.best_step},
                        {"best", best}};
    files_.write_json(kRunFile, done);
    std::error_code ignored;
    std::filesystem::remove(files_.path(kResumeFile), ignored);
    return result;
  }

  TrainingTask& task_;
  const TrainOptions& options_;
  const Json& run_;
  const RunSettings& settings_;
  const ModelFiles& files_;
  Communicator& communicator_;
  TrainObserver& observer_;
  const std::atomic<bool>& stop_;
  AdamW optimizer_;
  std::string metric_;
  Precision precision_;
  GradientReducer reducer_;
  bool stop_agreed_ = false;
  Schedule schedule_{};
  RunState state_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1, epoch_ = -1;
  std::vector<int64_t> order_;
  double smooth_loss_ = std::nan("");
  Clock::time_point saved_ = Clock::now();
  Evaluation best_;
};

/// What rank 0 finds in the output folder and does about it, for all processes.
struct Claim {
  ModelFiles files;
  std::unique_ptr<FolderLock> lock = nullptr;
  Start start;
  bool found_nothing = false;  ///< to resume
  std::optional<TrainResult> finished = std::nullopt;
};

Claim claim_folder(const RunSettings& settings, const Json& run) {
  Claim claim{.files = ModelFiles::create(settings.output), .start = settings.start};
  claim.lock = std::make_unique<FolderLock>(settings.output);
  const bool resumes = settings.start == Start::kResume;
  if (resumes && is_finished(claim.files)) {
    claim.finished = finished_result(claim.files, run);
    return claim;
  }
  claim.found_nothing = resumes && !claim.files.has(kResumeFile);
  if (claim.found_nothing) claim.start = Start::kOverwrite;
  if (claim.start == Start::kOverwrite) remove_run(claim.files);
  return claim;
}

Claim claim_folder(const RunSettings& settings, const Json& run, Communicator& communicator) {
  if (communicator.rank() == 0) {
    check_output(settings.output, settings.start);
    Claim claim = claim_folder(settings, run);
    share_text(communicator, claim.finished ? "finished" : claim.start == Start::kResume ? "resume" : "begin");
    return claim;
  }
  const std::string word = share_text(communicator, "");
  // Others have no folder: the root stands for it, and is never written to.
  Claim claim{.files = ModelFiles::open("/"), .start = word == "resume" ? Start::kResume : Start::kOverwrite};
  if (word == "finished") {
    claim.finished.emplace();
    claim.finished->was_complete = true;
  }
  return claim;
}

}  // namespace

int64_t total_steps(const TrainingTask& task, const TrainOptions& options) {
  const int64_t passes = (task.rows() + options.batch_size - 1) / options.batch_size;
  return (passes + options.gradient_accumulation - 1) / options.gradient_accumulation * options.epochs;
}

TrainResult train(TrainingTask& task, const TrainOptions& options, Json run, const RunSettings& settings,
                  TrainObserver& observer, const std::atomic<bool>& stop) {
  options.check();
  CLOZE_CHECK(settings.checkpoint_steps >= 0, ErrorCode::kUsage, "--checkpoint-steps must not be negative, got {}",
              settings.checkpoint_steps);
  const std::vector<std::string> metrics = task.metric_names();
  CLOZE_CHECK(options.save_best.empty() || std::ranges::find(metrics, options.save_best) != metrics.end(),
              ErrorCode::kUsage, "--save-best: no metric \"{}\"{}; there are {}", options.save_best,
              did_you_mean(options.save_best, metrics), fmt::join(metrics, ", "));
  CLOZE_CHECK(options.patience == 0 || task.has_dev(), ErrorCode::kUsage,
              "--patience needs --dev: without it no evaluation tells a better model from a worse one");
  run["inputs"] = task.fingerprint();
  Communicator& communicator = settings.communicator != nullptr ? *settings.communicator : alone();
  check_passes(communicator, options);
  if (communicator.size() > 1) run["processes"] = communicator.size();
  check_same_run(communicator, run);
  const Claim claim = claim_folder(settings, run, communicator);
  if (claim.finished) return *claim.finished;
  if (claim.found_nothing)
    observer.on_message(fmt::format("{} holds no stopped run: starting from the beginning", settings.output.string()));
  return Run(task, options, run, settings, claim.files, communicator, observer, stop).go(claim.start);
}

}  // namespace cloze
