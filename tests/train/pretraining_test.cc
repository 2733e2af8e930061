// Pretraining: learns what can be learned, goes on where it was, and what its options change and what not.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cloze/train/run_state.h"
#include "tiny_corpus.h"

namespace cloze::test {
namespace {

void expect_share(double value, const std::string& name) {
  EXPECT_GE(value, 0) << name;
  EXPECT_LE(value, 1) << name;
}

TEST(Pretraining, LearnsATinyCorpusOfTwoLanguages) {
  const TinyCorpus place;
  PretrainingOptions options = place.options("mlm,nsp");
  options.rows.max_length = 20;
  options.scratch_config.initializer_range = 0.1;  // a narrow model starts slowly from less
  TrainOptions o = pretraining_steps(240);
  o.learning_rate = 1e-2;
  o.adam_beta2 = 0.98;
  o.batch_size = 16;
  o.eval_steps = 120;
  RunListener listener;
  const TrainResult result = pretrain(options, o, place / "run", listener);
  EXPECT_EQ(result.steps, 240);
  ASSERT_EQ(listener.evaluations.size(), 2u);
  const EvaluationInfo& last = listener.evaluations.back();
  EXPECT_LT(last.train_loss, listener.steps.front().loss / 2);
  const MetricList& dev = last.dev.metrics;
  EXPECT_GT(metric_value(dev, "mlm_accuracy"), metric_value(dev, "mlm_guess") + 0.4);
  EXPECT_LT(metric_value(dev, "mlm_loss"), std::log(38.0) / 2) << "half of what knowing nothing costs";
  EXPECT_DOUBLE_EQ(metric_value(dev, "perplexity"), std::exp(metric_value(dev, "mlm_loss")));
  EXPECT_DOUBLE_EQ(metric_value(dev, "loss"), metric_value(dev, "mlm_loss") + metric_value(dev, "nsp_loss"));
  EXPECT_NEAR(last.train_loss, metric_value(last.train, "mlm_loss") + metric_value(last.train, "nsp_loss"), 0.05);
  for (const char* name : {"mlm_accuracy", "mlm_guess", "nsp_accuracy"}) expect_share(metric_value(dev, name), name);
  for (const char* name : {"mlm_accuracy", "nsp_accuracy"}) expect_share(metric_value(last.train, name), name);
  const std::string log = read_file(place / "run" / "metrics.jsonl");
  const Json line = parse_json(log.substr(0, log.find('\n')), "metrics.jsonl");
  std::set<std::string> names;
  for (const auto& [name, value] : line.items()) names.insert(name);
  EXPECT_EQ(names,
            (std::set<std::string>{"step", "epoch", "train_loss", "train_mlm_loss", "train_mlm_accuracy",
                                   "train_nsp_loss", "train_nsp_accuracy", "dev_loss", "dev_mlm_loss", "dev_perplexity",
                                   "dev_mlm_accuracy", "dev_mlm_guess", "dev_nsp_loss", "dev_nsp_accuracy"}));
  for (const char* words : {"english.txt", "chinese.txt", "all", "nsp"})
    EXPECT_NE(last.dev.text.find(words), std::string::npos) << last.dev.text;
}

TEST(Pretraining, EachObjectiveHasItsHeadsAndMetrics) {
  const TinyCorpus place;
  for (const auto& [objective, name, architecture] :
       {std::tuple("mlm", "", "BertForMaskedLM"), std::tuple("mlm,nsp", "nsp", "BertForPreTraining"),
        std::tuple("mlm,sop", "sop", "BertForPreTraining")}) {
    const Path output = place / objective;
    RunListener listener;
    pretrain(place.options(objective), pretraining_steps(2), output, listener);
    const MetricList& train = listener.evaluations.back().train;
    EXPECT_EQ(train.size(), *name == '\0' ? 2u : 4u) << objective;
    if (*name != '\0') {
      EXPECT_TRUE(std::isfinite(metric_value(train, std::string(name) + "_loss"))) << objective;
    }
    const Json config = parse_json(read_file(output / "config.json"), "config.json");
    EXPECT_EQ(config["architectures"][0], architecture);
    const std::string weights = read_file(output / "model.safetensors");
    EXPECT_EQ(weights.find("cls.seq_relationship.weight") != std::string::npos, *name != '\0') << objective;
    EXPECT_NE(weights.find("cls.predictions.bias"), std::string::npos) << objective;
  }
}

TEST(Pretraining, AccumulationTakesTheMeanOfEachPass) {
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(3);
  o.eval_steps = 1;
  RunListener whole, parts, halves;
  pretrain(place.options("mlm,nsp"), o, place / "whole", whole);
  o.batch_size = 4;
  o.gradient_accumulation = 2;
  pretrain(place.options("mlm,nsp"), o, place / "parts", parts);
  o.gradient_accumulation = 1;
  o.learning_rate = 1e-12;
  pretrain(place.options("mlm,nsp"), o, place / "halves", halves);
  // The same rows and masks: sums over words agree.
  for (const char* name : {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy"})
    EXPECT_NEAR(metric_value(parts.evaluations[0].train, name), metric_value(whole.evaluations[0].train, name), 1e-5)
        << name;
  // The loss of a step is the mean of its passes' means, which is not the mean over its words.
  EXPECT_NEAR(parts.steps[0].loss, (halves.steps[0].loss + halves.steps[1].loss) / 2, 1e-5);
  EXPECT_NEAR(parts.steps[0].loss, whole.steps[0].loss, 0.05);
  EXPECT_NEAR(parts.steps[2].loss, whole.steps[2].loss, 0.1);
}

TEST(Pretraining, GoesOnFromACheckpointWithItsLosses) {
  const TinyCorpus place;
  RunListener first, second;
  pretrain(place.options("mlm,nsp"), pretraining_steps(40), place / "first", first);
  PretrainingOptions onward = place.options("mlm,nsp");
  onward.model = (place / "first").string();
  onward.vocab = "";
  const auto task = make_pretraining(onward);
  EXPECT_EQ(task->evaluate().metrics, first.evaluations.back().dev.metrics) << "to the bit";
  TrainOptions o = pretraining_steps(10);
  o.learning_rate = 1e-4;
  pretrain(onward, o, place / "second", second);
  EXPECT_LT(second.steps.front().loss, first.steps.front().loss - 0.4);
  // Onward without the sentence head, and back with a fresh one.
  onward.rows.objective = SentenceObjective::kNone;
  pretrain(onward, o, place / "mlm", second);
  onward.model = (place / "mlm").string();
  onward.rows.objective = SentenceObjective::kOrder;
  bool fresh = false;
  for (const std::string& line : make_pretraining(onward)->summary())
    fresh = fresh || line.find("cls.seq_relationship") != std::string::npos;
  EXPECT_TRUE(fresh) << "said in the summary";
}

TEST(Pretraining, HalfWidthWeightsPredictTheSameToTheirPrecision) {
  const TinyCorpus place;
  PretrainingOptions narrow = place.options("mlm,sop");
  narrow.half_width = true;
  RunListener f32, f16;
  pretrain(place.options("mlm,sop"), pretraining_steps(40), place / "f32", f32);
  pretrain(narrow, pretraining_steps(40), place / "f16", f16);
  EXPECT_EQ(f32.evaluations.back().dev.metrics, f16.evaluations.back().dev.metrics) << "training itself is the same";
  const auto size = [&](const char* name) {
    return static_cast<double>(std::filesystem::file_size(place / name / "model.safetensors"));
  };
  EXPECT_NEAR(size("f16") / size("f32"), 0.5, 0.06);
  PretrainingOptions onward = place.options("mlm,sop");
  onward.vocab = "";
  onward.model = (place / "f16").string();
  const MetricList read = make_pretraining(onward)->evaluate().metrics, &kept = f16.evaluations.back().dev.metrics;
  for (const auto& [name, value] : kept) EXPECT_NEAR(metric_value(read, name), value, 0.02 * (1 + value)) << name;
  EXPECT_NE(read, kept) << "rounded";
}

TEST(Pretraining, ItsDropoutIsNotTheModels) {
  const TinyCorpus place;
  PretrainingOptions options = place.options("mlm");
  options.dropout = 0.3;
  RunListener listener, none;
  pretrain(options, pretraining_steps(1), place / "run", listener);
  const Json config = parse_json(read_file(place / "run" / "config.json"), "config.json");
  EXPECT_EQ(config["hidden_dropout_prob"], 0.1);
  EXPECT_EQ(config["attention_probs_dropout_prob"], 0.1);
  pretrain(place.options("mlm"), pretraining_steps(1), place / "none", none);
  EXPECT_NE(listener.steps[0].loss, none.steps[0].loss) << "but it was applied";
  EXPECT_EQ(make_pretraining(options)->fingerprint()["model_config"]["hidden_dropout_prob"], 0.3) << "run.json says it";
}

TEST(Pretraining, GradientCheckpointingChangesNoBits) {
  const TinyCorpus place;
  PretrainingOptions options = place.options("mlm,nsp");
  options.dropout = 0.1;
  TrainOptions o = pretraining_steps(6);
  RunListener kept, recomputed;
  pretrain(options, o, place / "kept", kept);
  o.gradient_checkpointing = true;
  pretrain(options, o, place / "recomputed", recomputed);
  for (size_t i = 0; i < kept.steps.size(); ++i) EXPECT_EQ(kept.steps[i].loss, recomputed.steps[i].loss) << i;
  for (const char* name : {"model.safetensors", "metrics.jsonl"})
    EXPECT_TRUE(read_file(place / "kept" / name) == read_file(place / "recomputed" / name)) << name;
}

TEST(Pretraining, StoppedAndResumedIsAsIfNeverStopped) {
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(12);
  o.eval_steps = 5;
  RunListener whole;
  pretrain(place.options("mlm,nsp"), o, place / "whole", whole);
  for (const int64_t stop : {3, 5, 11}) {  // sums of training_metrics begun, just emptied, begun again
    const Path output = place / ("stopped-" + std::to_string(stop));
    RunListener first(stop), rest;
    EXPECT_THROW(pretrain(place.options("mlm,nsp"), o, output, first), Error);
    pretrain(place.options("mlm,nsp"), o, output, rest, Start::kResume);
    EXPECT_EQ(rest.steps.size(), static_cast<size_t>(12 - stop));
    for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
      EXPECT_TRUE(read_file(output / name) == read_file(place / "whole" / name)) << name << " after a stop at " << stop;
  }
}

TEST(Pretraining, AStateWithOtherSumsIsRefused) {
  const TinyCorpus place;
  RunListener first(3), rest;
  EXPECT_THROW(pretrain(place.options("mlm"), pretraining_steps(6), place / "run", first), Error);
  const Path file = place / "run" / kResumeFile;
  std::string bytes = read_file(file);
  const size_t begin = bytes.find('"', bytes.find("\"sums\"") + 6) + 1, end = bytes.find(' ', begin);
  ASSERT_LT(begin, end);
  ASSERT_LT(end, bytes.size());
  bytes.replace(begin, end - begin, end - begin, ' ');
  write_file(file, bytes);
  try {
    pretrain(place.options("mlm"), pretraining_steps(6), place / "run", rest, Start::kResume);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFormat);
    EXPECT_NE(std::string(error.what()).find("\"sums\" holds 5 numbers, this task has 6"), std::string::npos)
        << error.what();
  }
}

TEST(Pretraining, OfPerplexityAndLossesTheLeastIsBest) {
  EXPECT_TRUE(less_is_better("loss") && less_is_better("mlm_loss") && less_is_better("perplexity"));
  EXPECT_FALSE(less_is_better("accuracy") || less_is_better("mlm_accuracy") || less_is_better("f1_macro"));
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(20);
  o.eval_steps = 5;
  o.save_best = "perplexity";
  RunListener listener;
  const TrainResult result = pretrain(place.options("mlm"), o, place / "run", listener);
  double least = 1e300;
  for (const EvaluationInfo& info : listener.evaluations) {
    const double now = metric_value(info.dev.metrics, "perplexity");
    EXPECT_EQ(info.best, now < least) << "step " << info.step;
    least = std::min(least, now);
  }
  EXPECT_DOUBLE_EQ(result.best_value, least);
}

TEST(Pretraining, StepsAreExactlySoMany) {
  const TinyCorpus place;
  for (const int64_t steps : {1, 3, 17}) {  // 17 steps of 8 rows are more than an epoch
    RunListener listener;
    const Path output = place / ("run-" + std::to_string(steps));
    EXPECT_EQ(pretrain(place.options("mlm"), pretraining_steps(steps), output, listener).steps, steps);
    EXPECT_EQ(listener.steps.size(), static_cast<size_t>(steps));
    EXPECT_EQ(listener.evaluations.back().step, steps);
    if (steps > 1) {
      EXPECT_LT(listener.steps.back().learning_rate, 5e-3 * 0.6) << "the schedule knows its end";
    }
  }
}

TEST(Pretraining, ATimeBudgetEndsInTimeAtRateZero) {
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(0);
  o.time_budget = "0.6s";
  RunListener listener;
  const TrainResult result = pretrain(place.options("mlm"), o, place / "run", listener);
  ASSERT_GT(result.steps, 2);
  const StepInfo& last = listener.steps.back();
  EXPECT_GE(last.seconds, 0.6);
  EXPECT_EQ(last.budget, 0.6);
  EXPECT_EQ(last.total_steps, 0);
  // The rate of a step is that of the moment when it began: 0 within one step's share.
  double longest = 0, before = 0;
  for (const StepInfo& step : listener.steps)
    longest = std::max(longest, step.seconds - std::exchange(before, step.seconds));
  EXPECT_LE(last.learning_rate, 5e-3 * (longest / 0.6 + 0.01) / 0.9);
  EXPECT_LE(last.seconds, 0.6 + longest + 0.01);
}

TEST(Pretraining, ATimeBudgetGoesOnFromTheClocksReading) {
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(0);
  o.time_budget = "3s";  // a busy machine under a sanitizer takes more than one for the first steps
  RunListener first(2), rest;
  EXPECT_THROW(pretrain(place.options("mlm"), o, place / "run", first), Error);
  const double stopped = first.steps.back().seconds;
  ASSERT_LT(stopped, 3);
  pretrain(place.options("mlm"), o, place / "run", rest, Start::kResume);
  EXPECT_EQ(rest.steps.front().step, 3);
  EXPECT_GE(rest.steps.front().seconds, stopped);
  EXPECT_LT(rest.steps.front().seconds, stopped + 1.5);
  EXPECT_GE(rest.steps.back().seconds, 3);
  EXPECT_LT(rest.steps.back().learning_rate, 5e-3 * 0.5);
}

TEST(Pretraining, ATimeBudgetOfLessThanAStepLeavesNothing) {
  const TinyCorpus place;
  TrainOptions o = pretraining_steps(0);
  o.time_budget = "0.00001s";
  RunListener listener, again;
  try {
    pretrain(place.options("mlm"), o, place / "run", listener);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("--time-budget 0.00001s is less than one step, which took"),
              std::string::npos)
        << error.what();
  }
  for (const char* name : {"model.safetensors", kRunFile, kLogFile, kResumeFile})
    EXPECT_FALSE(std::filesystem::exists(place / "run" / name)) << name;
  EXPECT_EQ(pretrain(place.options("mlm"), pretraining_steps(1), place / "run", again).steps, 1)
      << "the folder is free";
}

}  // namespace
}  // namespace cloze::test
