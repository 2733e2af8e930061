#include "cloze/train/trainer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/suggest.h"
#include "cloze/ops/var.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/train/run_state.h"
#include "cloze/train/sampler.h"

namespace cloze {
namespace {

/// One run, from its first or resumed step to its last.
class Run {
 public:
  Run(TrainingTask& task, const TrainOptions& options, const Json& run, const ModelFiles& files,
      TrainObserver& observer, const std::atomic<bool>& stop)
      : task_(task),
        options_(options),
        run_(run),
        files_(files),
        observer_(observer),
        stop_(stop),
        optimizer_(task.parameters(), {.weight_decay = options.weight_decay}),
        metric_(options.save_best.empty() ? task.headline_metric() : options.save_best) {
    const int64_t passes = (task.rows() + options.batch_size - 1) / options.batch_size;
    steps_per_epoch_ = (passes + options.gradient_accumulation - 1) / options.gradient_accumulation;
    total_steps_ = steps_per_epoch_ * options.epochs;
    schedule_ = {
        .peak = options.learning_rate,
        .warmup_steps = static_cast<int64_t>(std::llround(options.warmup_ratio * static_cast<double>(total_steps_))),
        .total_steps = total_steps_,
        .decline = parse_decline(options.schedule)};
  }

  TrainResult go(Start start) {
    if (start == Start::kResume) {
      state_ = load_run_state(files_, run_, optimizer_);
      observer_.on_message(fmt::format("resumed at step {} of {}", state_.step, total_steps_));
    } else {
      files_.write_json(kRunFile, run_);
    }
    write_file(files_.path(kLogFile), state_.log);
    while (state_.step < total_steps_) {
      one_step();
      const bool epoch_ends = state_.step % steps_per_epoch_ == 0;
      const bool due = options_.eval_steps > 0 ? state_.step % options_.eval_steps == 0 : epoch_ends;
      if (due || state_.step == total_steps_) {
        evaluate();
        if (state_.step < total_steps_) save_run_state(files_, state_, run_, optimizer_);
      }
      if (stop_.load(std::memory_order_relaxed) && state_.step < total_steps_) {
        save_run_state(files_, state_, run_, optimizer_);
        fail(ErrorCode::kInterrupted, "stopped after step {} of {}; go on with the same command and --resume",
             state_.step, total_steps_);
      }
    }
    return finish();
  }

 private:
  void one_step() {
    const int64_t epoch = state_.step / steps_per_epoch_;
    if (epoch != epoch_) {
      epoch_ = epoch;
      order_ = shuffled_rows(task_.rows(), static_cast<uint64_t>(options_.seed), epoch);
    }
    const int64_t first = state_.step % steps_per_epoch_ * options_.gradient_accumulation * options_.batch_size;
    const int64_t last = std::min(task_.rows(), first + options_.gradient_accumulation * options_.batch_size);
    double loss = 0;
    int64_t tokens = 0;
    for (int64_t begin = first; begin < last; begin += options_.batch_size) {
      const int64_t end = std::min(last, begin + options_.batch_size);
      const std::span<const int64_t> rows(order_.data() + begin, static_cast<size_t>(end - begin));
      for (const int64_t row : rows) tokens += task_.tokens(row);
      const uint64_t pass = static_cast<uint64_t>(state_.step) * static_cast<uint64_t>(options_.gradient_accumulation) +
                            static_cast<uint64_t>((begin - first) / options_.batch_size);
      ForwardContext context = ForwardContext::training(static_cast<uint64_t>(options_.seed), pass);
      const Var value = task_.loss(rows, context);
      // Each row of the step weighs the same, also where the last pass is shorter.
      const double share = static_cast<double>(end - begin) / static_cast<double>(last - first);
      loss += share * static_cast<double>(*value.value().data<float>());
      backward(value, share);
    }
    const double norm = optimizer_.gradient_norm();
    CLOZE_CHECK(
        std::isfinite(loss) && std::isfinite(norm), ErrorCode::kValue,
        "step {}: the loss is {} and the gradient norm {}; lower --learning-rate (now {}) or raise --warmup-ratio",
        state_.step + 1, loss, norm, options_.learning_rate);
    const double rate = schedule_.rate(state_.step);
    const bool clip = options_.max_grad_norm > 0 && norm > options_.max_grad_norm;
    optimizer_.step(rate, clip ? options_.max_grad_norm / (norm + 1e-6) : 1.0);
    ++state_.step;
    state_.loss_sum += loss;
    ++state_.loss_steps;
    smooth_loss_ = std::isnan(smooth_loss_) ? loss : 0.95 * smooth_loss_ + 0.05 * loss;
    observer_.on_step({.step = state_.step,
                       .total_steps = total_steps_,
                       .epoch = epoch + 1,
                       .loss = smooth_loss_,
                       .learning_rate = rate,
                       .gradient_norm = norm,
                       .tokens = tokens});
  }

  void evaluate() {
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
      const double value = metric_value(info.dev.metrics, metric_) * (metric_ == "loss" ? -1 : 1);
      info.best = state_.best_step == 0 || value > state_.best_value;
      if (info.best) state_.best_value = value;
    } else {
      info.best = true;  // without dev rows the last weights are the ones to keep
    }
    line.end_object();
    if (info.best) {
      state_.best_step = state_.step;
      state_.best_metrics = line.text();
      best_ = info.dev;
      task_.save(files_);
    }
    state_.log += line.text() + "\n";
    write_file(files_.path(kLogFile), state_.log);
    state_.loss_sum = 0;
    state_.loss_steps = 0;
    observer_.on_evaluation(info);
  }

  TrainResult finish() {
    TrainResult result{.steps = state_.step,
                       .best_step = state_.best_step,
                       .metric = task_.has_dev() ? metric_ : "",
                       .best_value = metric_ == "loss" ? -state_.best_value : state_.best_value,
                       .best = best_};
    Json done = run_;
    done["finished"] = {
        {"steps", result.steps}, {"best_step", result.best_step}, {"best", parse_json(state_.best_metrics, kLogFile)}};
    files_.write_json(kRunFile, done);
    std::error_code ignored;
    std::filesystem::remove(files_.path(kResumeFile), ignored);
    return result;
  }

  TrainingTask& task_;
  const TrainOptions& options_;
  const Json& run_;
  const ModelFiles& files_;
  TrainObserver& observer_;
  const std::atomic<bool>& stop_;
  AdamW optimizer_;
  std::string metric_;
  Schedule schedule_{};
  RunState state_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1, epoch_ = -1;
  std::vector<int64_t> order_;
  double smooth_loss_ = std::nan("");
  Evaluation best_;
};

bool is_finished(const ModelFiles& files) {
  return files.has(kRunFile) && !files.has(kResumeFile) && files.read_json(kRunFile).contains("finished");
}

}  // namespace

void TrainOptions::check() const {
  CLOZE_CHECK(epochs >= 1 && epochs <= 100000, ErrorCode::kUsage, "--epochs must be 1 to 100000, got {}", epochs);
  CLOZE_CHECK(batch_size >= 1 && batch_size <= 65536, ErrorCode::kUsage, "--batch-size must be 1 to 65536, got {}",
              batch_size);
  CLOZE_CHECK(gradient_accumulation >= 1 && gradient_accumulation <= 65536, ErrorCode::kUsage,
              "--gradient-accumulation must be 1 to 65536, got {}", gradient_accumulation);
  CLOZE_CHECK(learning_rate > 0 && learning_rate < 10, ErrorCode::kUsage, "--learning-rate must be in (0, 10), got {}",
              learning_rate);
  CLOZE_CHECK(warmup_ratio >= 0 && warmup_ratio <= 1, ErrorCode::kUsage, "--warmup-ratio must be in [0, 1], got {}",
              warmup_ratio);
  CLOZE_CHECK(weight_decay >= 0 && weight_decay < 10, ErrorCode::kUsage, "--weight-decay must be in [0, 10), got {}",
              weight_decay);
  CLOZE_CHECK(max_grad_norm >= 0, ErrorCode::kUsage, "--max-grad-norm must not be negative, got {}", max_grad_norm);
  CLOZE_CHECK(seed >= 0, ErrorCode::kUsage, "--seed must not be negative, got {}", seed);
  CLOZE_CHECK(eval_steps >= 0, ErrorCode::kUsage, "--eval-steps must not be negative, got {}", eval_steps);
  parse_decline(schedule);
}

void check_output(const Path& output, Start start) {
  if (start == Start::kOverwrite || !std::filesystem::exists(output)) return;
  CLOZE_CHECK(std::filesystem::is_directory(output), ErrorCode::kUsage, "--output {}: a file of that name stands there",
              output.string());
  if (start == Start::kResume) {
    const bool is_run = std::filesystem::exists(output / kRunFile) || std::filesystem::exists(output / kResumeFile);
    CLOZE_CHECK(is_run || std::filesystem::is_empty(output), ErrorCode::kUsage,
                "--resume: {} holds no run (no {}); it is left as it is", output.string(), kRunFile);
    return;
  }
  for (const char* name : {ModelFiles::kWeights, ModelFiles::kConfig, kRunFile, kResumeFile})
    CLOZE_CHECK(
        !std::filesystem::exists(output / name), ErrorCode::kUsage,
        "--output {} already holds {}; choose another folder, go on with --resume, or replace it with --overwrite",
        output.string(), name);
}

TrainResult train(TrainingTask& task, const TrainOptions& options, const Json& run, const Path& output, Start start,
                  TrainObserver& observer, const std::atomic<bool>& stop) {
  options.check();
  const std::vector<std::string> metrics = task.metric_names();
  CLOZE_CHECK(options.save_best.empty() || std::ranges::find(metrics, options.save_best) != metrics.end(),
              ErrorCode::kUsage, "--save-best: no metric \"{}\"{}; there are {}", options.save_best,
              did_you_mean(options.save_best, metrics), fmt::join(metrics, ", "));
  check_output(output, start);
  const ModelFiles files = ModelFiles::create(output);
  if (start == Start::kResume && is_finished(files)) {
    Json record = files.read_json(kRunFile);
    const Json finished = record["finished"];
    record.erase("finished");
    refuse_other_run(record, run, files.path(kRunFile));
    TrainResult result;
    result.steps = json_int(finished, "steps", kRunFile);
    result.best_step = json_int(finished, "best_step", kRunFile);
    result.was_complete = true;
    return result;
  }
  if (start == Start::kResume && !files.has(kResumeFile)) {
    observer.on_message(fmt::format("{} holds no stopped run: starting from the beginning", output.string()));
    start = Start::kOverwrite;
  }
  if (start == Start::kOverwrite) {
    std::error_code ignored;
    for (const char* name : {kResumeFile, kRunFile, kLogFile, ModelFiles::kWeights})
      std::filesystem::remove(files.path(name), ignored);
  }
  return Run(task, options, run, files, observer, stop).go(start);
}

}  // namespace cloze
