#include "cloze/train/trainer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"
#include "cloze/ops/var.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/optim/start_pull.h"
#include "cloze/optim/zero_mask.h"
#include "cloze/train/gradient_reducer.h"
#include "cloze/train/output_folder.h"
#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"
#include "cloze/train/sampler.h"
#include "cloze/train/trained_part.h"
#include "cloze/train/tuning.h"

namespace cloze {
namespace {

int64_t epoch_steps(const TrainingTask& task, const TrainOptions& options) {
  const int64_t passes = (task.rows() + options.batch_size - 1) / options.batch_size;
  return (passes + options.gradient_accumulation - 1) / options.gradient_accumulation;
}

AdamWOptions optimizer_options(const TrainOptions& options) {
  AdamWOptions result;
  result.beta2 = options.adam_beta2;
  result.eps = options.adam_epsilon;
  result.weight_decay = options.weight_decay;
  result.moments = parse_moment_type(options.optimizer_state);
  return result;
}

std::vector<ParameterPace> paces_of(TrainingTask& task, const TuningOptions& tuning) {
  const ParameterList all = all_parameters(task), trained = trained_of(all);
  const int64_t layers = count_layers(all);
  const std::vector<double> rates = layer_rates(trained, layers, tuning.layer_decay);
  const std::vector<int64_t> starts = unfreezing_steps(trained, layers, tuning.unfreeze_steps);
  std::vector<ParameterPace> paces;
  for (size_t i = 0; i < trained.size(); ++i)
    paces.push_back({rates[i], starts[i], tuning.start_decay == 0 || height_of(trained[i]->name, layers) > layers});
  return paces;
}

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
        optimizer_(trained_of(all_parameters(task)), optimizer_options(options), paces_of(task, options.tuning)),
        metric_(options.save_best.empty() ? task.headline_metric() : options.save_best),
        precision_(parse_training_precision(options.precision)),
        reducer_(communicator, optimizer_.parameters()) {
    if (writes() && options.tuning.ema > 0) average_.emplace(optimizer_.parameters(), options.tuning.ema);
    if (options.tuning.start_decay > 0) pull_.emplace(encoder_parameters(), options.tuning.start_decay);
    if (options.tuning.keep_zeros) zeros_.emplace(encoder_products(trained_of(task.parameters())));
    state_.frozen = checksum_of_frozen(task.parameters());
    total_steps_ = total_steps(task, options);
    budget_ = options.time_budget.empty() ? 0 : parse_duration(options.time_budget);
    steps_per_epoch_ = epoch_steps(task, options);
    schedule_ = {
        .peak = options.learning_rate,
        .warmup_steps = static_cast<int64_t>(std::llround(options.warmup_ratio * static_cast<double>(total_steps_))),
        .total_steps = total_steps_,
        .decline = parse_decline(options.schedule)};
  }

  TrainResult go(Start start) {
    if (start == Start::kResume) {
      if (writes()) load_state();
      share_run_state(communicator_, state_, optimizer_);
      CLOZE_CHECK(state_.sums.size() == task_.training_sums().size(), ErrorCode::kFormat,
                  "{}: \"sums\" holds {} numbers, this task has {}; start anew with --overwrite",
                  files_.path(kResumeFile).string(), state_.sums.size(), task_.training_sums().size());
      std::ranges::copy(state_.sums, task_.training_sums().begin());
      observer_.on_message(fmt::format("resumed at {}", place()));
    } else if (writes()) {
      files_.write_json(kRunFile, run_);
    }
    if (writes()) write_file(files_.path(kLogFile), state_.log);
    check_same_weights(communicator_, all_parameters(task_), "at the start");
    clock_ = state_.seconds;
    began_ = Clock::now() - std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(state_.seconds));
    bool last = is_over();
    while (!last && !out_of_patience()) {
      one_step();
      const bool epoch_ends = state_.step % steps_per_epoch_ == 0;
      const bool due = options_.eval_steps > 0 ? state_.step % options_.eval_steps == 0 : epoch_ends;
      last = is_over();
      if (last && budget_ > 0 && state_.step == 1) refuse_budget();
      if (due || last) evaluate();
      if (last || out_of_patience()) break;
      const bool stops = stopping();
      if (writes() && (stops || due || checkpoint_due())) save();
      if (stops) fail(ErrorCode::kInterrupted, "stopped after {}; go on with the same command and --resume", place());
    }
    // A state that was saved when its time was up has steps that nothing has judged.
    if (state_.loss_steps > 0 || state_.best_step == 0) evaluate();
    return finish();
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// One process writes and evaluates for all.
  bool writes() const { return communicator_.rank() == 0; }

  WeightAverage* average() { return average_ ? &*average_ : nullptr; }

  /// The same on all processes: several have agreed at the end of the step.
  bool stopping() const { return communicator_.size() > 1 ? stop_agreed_ : stop_.load(std::memory_order_relaxed); }

  bool out_of_patience() const { return options_.patience > 0 && state_.since_best >= options_.patience; }

  bool checkpoint_due() const {
    if (settings_.checkpoint_steps > 0) return state_.step % settings_.checkpoint_steps == 0;
    return Clock::now() - saved_ > std::chrono::minutes(2);
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
  bool is_over() const { return budget_ > 0 ? clock_ >= budget_ : state_.step >= total_steps_; }
  /// "step 12 of 340"
  std::string place() const {
    if (budget_ > 0) return fmt::format("step {}, {:.0f} s of {:.0f}", state_.step, state_.seconds, budget_);
    return fmt::format("step {} of {}", state_.step, total_steps_);
  }

  double learning_rate() const {
    if (budget_ == 0) return schedule_.rate(state_.step);
    return rate_at(schedule_.peak, options_.warmup_ratio, schedule_.decline, clock_ / budget_);
  }

  /// The rows of the next step.
  std::span<const int64_t> step_rows() {
    const int64_t count = options_.gradient_accumulation * options_.batch_size;
    if (task_.endless()) {
      order_.resize(static_cast<size_t>(count));
      std::iota(order_.begin(), order_.end(), state_.step * count);
      return order_;
    }
    const int64_t epoch = state_.step / steps_per_epoch_;
    if (epoch != epoch_) {
      epoch_ = epoch;
      order_ = epoch_order(task_, options_, epoch);
    }
    const int64_t first = state_.step % steps_per_epoch_ * count;
    return std::span(order_).subspan(static_cast<size_t>(first),
                                     static_cast<size_t>(std::min(count, task_.rows() - first)));
  }

  /// The schedule would have had no second step: nothing is kept, so that the same folder serves the next try.
  [[noreturn]] void refuse_budget() {
    const double took = seconds();
    if (writes()) remove_run(files_);
    fail(ErrorCode::kUsage, "--time-budget {} is less than one step, which took {:.3g} s; give more time",
         options_.time_budget, took);
  }

  void load_state() {
    const std::string frozen = state_.frozen;
    state_ = load_run_state(files_, run_, total_steps_, optimizer_, average());
    CLOZE_CHECK(state_.frozen == frozen, ErrorCode::kValue,
                "{}: the weights that this run does not train (--tune {}) are not those that it was started with; "
                "give it the same model, or start anew with --overwrite",
                files_.path(kResumeFile).string(), options_.tuning.tune);
  }

  void save() {
    const ProfilePhase phase("save");
    state_.seconds = seconds();
    state_.sums.assign(task_.training_sums().begin(), task_.training_sums().end());
    save_run_state(files_, state_, run_, optimizer_, average());
    saved_ = Clock::now();
  }

  /// Ends a step's passes on every process: gradients, the loss, whether to stop, the clock (rank 0's) and what the
  /// task has summed up, which was `sums_before` before the step. Returns the loss.
  double agree(double loss, const std::vector<double>& sums_before) {
    std::vector<double> sums = {loss, stop_.load(std::memory_order_relaxed) ? 1.0 : 0.0, writes() ? seconds() : 0.0};
    const std::span<double> own = task_.training_sums();
    for (size_t i = 0; i < own.size(); ++i) sums.push_back(own[i] - sums_before[i]);
    reducer_.reduce(sums);
    stop_agreed_ = sums[1] > 0;
    clock_ = sums[2];
    if (communicator_.size() > 1)
      for (size_t i = 0; i < own.size(); ++i) own[i] = sums_before[i] + sums[3 + i];
    return sums[0];
  }

  /// Those that the optimizer does not decay: --start-decay pulls them.
  ParameterList encoder_parameters() const {
    ParameterList list;
    for (size_t i = 0; i < optimizer_.parameters().size(); ++i)
      if (!optimizer_.pace(i).decays) list.push_back(optimizer_.parameters()[i]);
    return list;
  }

  /// --unfreeze-steps: what this step trains.
  void unfreeze() {
    if (options_.tuning.unfreeze_steps == 0) return;
    for (size_t i = 0; i < optimizer_.parameters().size(); ++i)
      optimizer_.parameters()[i]->set_trained(state_.step >= optimizer_.pace(i).start);
  }

  /// A pass forward and back over these rows, which are `share` of the step. Returns its loss.
  double one_pass(std::span<const int64_t> rows, uint64_t pass, double share, GradientListener* listener) {
    std::optional<InputPerturbation> adversary;
    if (options_.tuning.fgm > 0) adversary.emplace(options_.tuning.fgm);
    double loss = 0;
    for (const bool first : {true, false}) {
      if (!first && !adversary) break;
      ForwardContext context =
          ForwardContext::training(static_cast<uint64_t>(options_.seed), pass, options_.activations(), precision_);
      context.set_perturbation(adversary ? &*adversary : nullptr);
      ProfilePhase phase("forward");
      const Var value = task_.loss(rows, context);
      if (first) loss = static_cast<double>(*value.value().data<float>());
      phase.next("backward");
      backward(value, share, first && adversary ? nullptr : listener);
      if (first && adversary) adversary->turn();
    }
    return loss;
  }

  void one_step() {
    unfreeze();
    const double rate = learning_rate();
    const std::span<const int64_t> all = step_rows();
    const auto weight_of = [&](std::span<const int64_t> rows) {
      double sum = 0;
      for (const int64_t row : rows) sum += task_.weight(row);
      return sum;
    };
    const double step_weight = weight_of(all);
    const size_t batch = static_cast<size_t>(options_.batch_size);
    const int64_t passes = static_cast<int64_t>((all.size() + batch - 1) / batch);
    const std::vector<double> sums_before(task_.training_sums().begin(), task_.training_sums().end());
    double loss = 0;
    int64_t tokens = 0;
    for (const int64_t row : all) tokens += task_.tokens(row);
    for (int64_t index = 0; index < passes; ++index) {
      if (!reducer_.runs(index)) continue;
      const size_t begin = static_cast<size_t>(index) * batch;
      const std::span<const int64_t> rows = all.subspan(begin, std::min(batch, all.size() - begin));
      const uint64_t pass = static_cast<uint64_t>(state_.step) * static_cast<uint64_t>(options_.gradient_accumulation) +
                            static_cast<uint64_t>(index);
      // Passes weigh as their rows do, so that accumulation makes no difference, also where the last pass is shorter.
      const double share = step_weight > 0 ? weight_of(rows) / step_weight : 0;
      loss += share * one_pass(rows, pass, share, reducer_.listener(index, passes));
    }
    loss = agree(loss, sums_before);
    ProfilePhase phase("optimizer");
    const double norm = optimizer_.gradient_norm();
    CLOZE_CHECK(
        std::isfinite(loss) && std::isfinite(norm), ErrorCode::kValue,
        "step {}: the loss is {} and the gradient norm {}; lower --learning-rate (now {}) or raise --warmup-ratio",
        state_.step + 1, loss, norm, options_.learning_rate);
    const bool clip = options_.max_grad_norm > 0 && norm > options_.max_grad_norm;
    optimizer_.step(rate, clip ? options_.max_grad_norm / (norm + 1e-6) : 1.0);
    if (pull_) {
      std::vector<double> rates;
      for (size_t i = 0; i < optimizer_.parameters().size(); ++i)
        if (!optimizer_.pace(i).decays) rates.push_back(rate * optimizer_.pace(i).rate);
      pull_->apply(rates);
    }
    if (zeros_) zeros_->apply();
    phase.next("report");
    ++state_.step;
    if (average_) average_->update(state_.step);
    state_.loss_sum += loss;
    ++state_.loss_steps;
    smooth_loss_ = std::isnan(smooth_loss_) ? loss : 0.95 * smooth_loss_ + 0.05 * loss;
    observer_.on_step({.step = state_.step,
                       .total_steps = total_steps_,
                       .epoch = (state_.step - 1) / steps_per_epoch_ + 1,
                       .loss = loss,
                       .smooth_loss = smooth_loss_,
                       .learning_rate = rate,
                       .gradient_norm = norm,
                       .tokens = tokens,
                       .seconds = seconds(),
                       .budget = budget_});
  }

  void evaluate() {
    check_same_weights(communicator_, optimizer_.parameters(), fmt::format("after step {}", state_.step));
    if (writes()) evaluate_here();
    share_outcome(communicator_, state_);
    state_.loss_sum = 0;
    state_.loss_steps = 0;
    std::ranges::fill(task_.training_sums(), 0.0);
  }

  void evaluate_here() {
    ProfilePhase phase("evaluate");
    std::optional<WeightAverage::InPlace> averaged;
    if (average_) averaged.emplace(*average_);
    const MergedAdapters merged(task_);
    EvaluationInfo info{.step = state_.step,
                        .epoch = (state_.step + steps_per_epoch_ - 1) / steps_per_epoch_,
                        .train_loss = state_.loss_sum / static_cast<double>(std::max<int64_t>(1, state_.loss_steps)),
                        .train = task_.training_metrics(),
                        .dev = {},
                        .best = false};
    JsonLine line;
    line.begin_object().member("step", info.step).member("epoch", info.epoch).member("train_loss", info.train_loss);
    for (const auto& [name, value] : info.train) line.member("train_" + name, value);
    if (task_.has_dev()) {
      info.dev = task_.evaluate();
      for (const auto& [name, value] : info.dev.metrics) line.member("dev_" + name, value);
      const double found = metric_value(info.dev.metrics, metric_) * (less_is_better(metric_) ? -1 : 1);
      const double value = std::isnan(found) ? -std::numeric_limits<double>::infinity() : found;
      // While none is a number the newer weights are the ones to keep.
      info.best = state_.best_step == 0 || value > state_.best_value || std::isinf(state_.best_value);
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
                       .best_value = less_is_better(metric_) ? -state_.best_value : state_.best_value,
                       .best_metrics = {},
                       .best = best_,
                       .was_complete = false,
                       .stopped_early = out_of_patience() && !is_over()};
    if (!writes()) return result;
    const Json best = parse_json(state_.best_metrics, kLogFile);
    result.best_metrics = dev_metrics(best);
    Json done = run_;
    done["finished"] = {{"steps", result.steps},
                        {"trained_numbers", count_elements(trained_of(all_parameters(task_)))},
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
  std::optional<WeightAverage> average_;  ///< of the process that writes
  std::optional<StartPull> pull_;
  std::optional<ZeroMask> zeros_;
  std::string metric_;
  Precision precision_;
  GradientReducer reducer_;
  bool stop_agreed_ = false;
  Schedule schedule_{};
  RunState state_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1, epoch_ = -1;
  std::vector<int64_t> order_;
  double clock_ = 0;   ///< seconds of training at the end of the last step, the same on all processes
  double budget_ = 0;  ///< seconds; 0: total_steps_ ends the run
  double smooth_loss_ = std::nan("");
  Clock::time_point began_ = Clock::now();
  Clock::time_point saved_ = Clock::now();
  Evaluation best_;
};

}  // namespace

bool less_is_better(const std::string& metric) {
  return metric == "loss" || metric.ends_with("_loss") || metric == "perplexity";
}

int64_t total_steps(const TrainingTask& task, const TrainOptions& options) {
  if (!options.time_budget.empty()) return 0;
  return options.steps > 0 ? options.steps : epoch_steps(task, options) * options.epochs;
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
  CLOZE_CHECK(
      options.patience == 0 || task.has_dev(), ErrorCode::kUsage,
      "--patience needs rows to evaluate on (--dev; in pretraining --heldout): without them no evaluation tells a "
      "better model from a worse one");
  run["inputs"] = task.fingerprint();
  apply_tuning(task, options);
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
