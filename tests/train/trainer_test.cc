// The trainer: same bits for the same run, stopped and resumed or not; what it keeps and refuses.
#include "cloze/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "cloze/base/thread_team.h"
#include "cloze/io/safetensors.h"
#include "cloze/train/run_state.h"

namespace cloze {
namespace {

class TrainerFolder {
 public:
  TrainerFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-train-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
  }
  ~TrainerFolder() { std::filesystem::remove_all(dir_); }
  Path operator/(const char* name) const { return dir_ / name; }

 private:
  Path dir_;
};

/// Hears the run; asks it to stop after some step.
class TrainerListener : public TrainObserver {
 public:
  explicit TrainerListener(int64_t stop_after = -1) : stop_after_(stop_after) {}
  void on_step(const StepInfo& info) override {
    ++steps;
    if (info.step == stop_after_) stop = true;
  }
  void on_evaluation(const EvaluationInfo& info) override { evaluations.push_back(info); }
  void on_message(const std::string&) override {}
  int64_t steps = 0;
  std::vector<EvaluationInfo> evaluations;
  std::atomic<bool> stop{false};

 private:
  int64_t stop_after_;
};

TrainingSource trainer_source() {
  TrainingSource s;
  s.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
  s.train = CLOZE_SOURCE_DIR "/samples/reviews_en.train.tsv";
  s.dev = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
  s.scratch_config = BertConfig::preset("tiny");
  s.scratch_config.hidden_size = 32;
  s.scratch_config.intermediate_size = 64;
  s.seed = 7;
  return s;
}

TrainOptions trainer_options() {
  TrainOptions o;
  o.epochs = 2;
  o.learning_rate = 1e-3;
  o.seed = 7;
  return o;
}

TrainResult trainer_run(const Path& output, Start start, TrainerListener& listener,
                        const TrainOptions& o = trainer_options(), const Json& record = {{"id", 1}}) {
  const auto task = find_task("text-classification").train(trainer_source());
  return train(*task, o, record, {.output = output, .start = start}, listener, listener.stop);
}

TEST(Trainer, SameSeedSameBits) {
  const TrainerFolder folder;
  TrainerListener a, b;
  trainer_run(folder / "a", Start::kFresh, a);
  trainer_run(folder / "b", Start::kFresh, b);
  EXPECT_EQ(a.steps, 26);  // 400 rows, 32 a step, 2 epochs
  EXPECT_EQ(read_file(folder / "a" / "model.safetensors"), read_file(folder / "b" / "model.safetensors"));
  EXPECT_EQ(read_file(folder / "a" / "metrics.jsonl"), read_file(folder / "b" / "metrics.jsonl"));
  TrainOptions other = trainer_options();
  other.seed = 8;
  TrainerListener c;
  trainer_run(folder / "c", Start::kFresh, c, other);
  EXPECT_NE(read_file(folder / "a" / "model.safetensors"), read_file(folder / "c" / "model.safetensors"));
}

TEST(Trainer, GradientCheckpointingChangesNoBits) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.epochs = 1;
  o.gradient_accumulation = 3;  // passes of 11 rows, also a shorter one
  o.batch_size = 11;
  TrainerListener kept, recomputed;
  trainer_run(folder / "kept", Start::kFresh, kept, o);
  o.gradient_checkpointing = true;
  trainer_run(folder / "recomputed", Start::kFresh, recomputed, o);
  for (const char* name : {"model.safetensors", "metrics.jsonl"})
    EXPECT_EQ(read_file(folder / "kept" / name), read_file(folder / "recomputed" / name)) << name;
  // A finished run or a stopped one is the same run with and without it.
  TrainerListener rest;
  EXPECT_TRUE(trainer_run(folder / "kept", Start::kResume, rest, o, {{"id", 1}, {"gradient_checkpointing", true}})
                  .was_complete);
}

TEST(Trainer, StoppedAndResumedIsAsIfNeverStopped) {
  const TrainerFolder folder;
  TrainerListener whole;
  trainer_run(folder / "whole", Start::kFresh, whole);
  // Stops in the first epoch, on its last step, and in the second epoch.
  for (const int64_t stop : {5, 13, 20}) {
    const Path output = folder / ("stopped-" + std::to_string(stop)).c_str();
    TrainerListener first(stop), rest;
    try {
      trainer_run(output, Start::kFresh, first);
      FAIL() << "the run did not stop";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInterrupted);
    }
    EXPECT_TRUE(std::filesystem::exists(output / kResumeFile));
    const TrainResult result = trainer_run(output, Start::kResume, rest);
    EXPECT_EQ(rest.steps, 26 - stop);
    EXPECT_EQ(result.steps, 26);
    for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
      EXPECT_EQ(read_file(output / name), read_file(folder / "whole" / name)) << name << " after a stop at " << stop;
    EXPECT_FALSE(std::filesystem::exists(output / kResumeFile));
  }
}

TEST(Trainer, MomentsInHalfOfTheMemory) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.epochs = 5;
  o.learning_rate = 4e-3;
  TrainerListener f32, bf16, first(30), rest;
  trainer_run(folder / "f32", Start::kFresh, f32, o);
  o.optimizer_state = "bf16";
  trainer_run(folder / "bf16", Start::kFresh, bf16, o);
  ASSERT_EQ(f32.evaluations.size(), bf16.evaluations.size());
  for (size_t i = 0; i < f32.evaluations.size(); ++i)
    EXPECT_NEAR(bf16.evaluations[i].train_loss, f32.evaluations[i].train_loss, 0.02) << "epoch " << i + 1;
  EXPECT_LT(bf16.evaluations.back().train_loss, 0.3) << "it must learn";
  EXPECT_THROW(trainer_run(folder / "stopped", Start::kFresh, first, o), Error);
  const uintmax_t weights = std::filesystem::file_size(folder / "bf16" / "model.safetensors");
  const double state = static_cast<double>(std::filesystem::file_size(folder / "stopped" / kResumeFile));
  EXPECT_NEAR(state / static_cast<double>(weights), 2, 0.1) << "weights, and two moments of half their size";
  trainer_run(folder / "stopped", Start::kResume, rest, o);
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
    EXPECT_EQ(read_file(folder / "stopped" / name), read_file(folder / "bf16" / name)) << name;
}

TEST(Trainer, ResumeRefusesAnotherConfiguration) {
  const TrainerFolder folder;
  TrainerListener first(3), rest;
  EXPECT_THROW(trainer_run(folder / "run", Start::kFresh, first, trainer_options(), {{"epochs", 2}, {"seed", 7}}),
               Error);
  try {
    trainer_run(folder / "run", Start::kResume, rest, trainer_options(), {{"epochs", 3}, {"seed", 7}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("epochs: was 2, is now 3"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("seed:"), std::string::npos);
  }
}

TEST(Trainer, Bf16LearnsAsF32AndRepeats) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.epochs = 6;
  o.learning_rate = 4e-3;
  TrainerListener exact, rounded, again;
  trainer_run(folder / "fp32", Start::kFresh, exact, o);
  o.precision = "bf16";
  trainer_run(folder / "bf16", Start::kFresh, rounded, o);
  trainer_run(folder / "again", Start::kFresh, again, o);
  const std::string kept = read_file(folder / "bf16" / "model.safetensors");
  EXPECT_NE(kept, read_file(folder / "fp32" / "model.safetensors"));
  EXPECT_EQ(kept, read_file(folder / "again" / "model.safetensors"));
  ASSERT_EQ(rounded.evaluations.size(), exact.evaluations.size());
  for (size_t i = 0; i < exact.evaluations.size(); ++i)
    EXPECT_NEAR(rounded.evaluations[i].train_loss, exact.evaluations[i].train_loss, 0.05) << i;
  EXPECT_LT(rounded.evaluations.back().train_loss, rounded.evaluations.front().train_loss - 0.2);
  o.precision = "int8";
  EXPECT_THROW(o.check(), Error);
}

TEST(Trainer, KeepsTheBestWeights) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.epochs = 10;
  o.learning_rate = 4e-3;  // overfits: the last weights are not the best
  o.save_best = "loss";
  TrainerListener listener;
  const TrainResult result = trainer_run(folder / "run", Start::kFresh, listener, o);
  double least = 1e9;
  for (const EvaluationInfo& info : listener.evaluations) {
    const double loss = metric_value(info.dev.metrics, "loss");
    EXPECT_EQ(info.best, loss < least);
    least = std::min(least, loss);
  }
  EXPECT_FALSE(listener.evaluations.back().best);
  EXPECT_DOUBLE_EQ(result.best_value, least);
  const auto predictor = find_task("text-classification").load(ModelFiles::open(folder / "run"), {});
  const Examples dev = read_all(trainer_source().dev, {});
  EXPECT_DOUBLE_EQ(metric_value(predictor->evaluate(dev.rows, "dev").metrics, "loss"), least)
      << "the kept model is the best one";
}

TEST(Trainer, AccumulationIsOneLargerBatch) {
  // Without dropout, 8 passes of 4 rows are a batch of 32 up to rounding.
  const auto weights = [](int64_t batch, int64_t accumulation) {
    const TrainerFolder folder;
    TrainingSource s = trainer_source();
    s.dropout = 0;
    TrainOptions o = trainer_options();
    o.epochs = 1;
    o.batch_size = batch;
    o.gradient_accumulation = accumulation;
    o.schedule = "constant";
    o.warmup_ratio = 0;
    TrainerListener listener;
    const auto task = find_task("text-classification").train(s);
    train(*task, o, Json::object(), {.output = folder / "run"}, listener, listener.stop);
    EXPECT_EQ(listener.steps, 13);
    return listener.evaluations.back().train_loss;
  };
  EXPECT_NEAR(weights(32, 1), weights(4, 8), 2e-4);
}

TEST(Trainer, PatienceEndsTheRunAndSoDoesAResumedOne) {
  TrainOptions o = trainer_options();
  o.epochs = 40;
  o.learning_rate = 4e-3;
  o.save_best = "loss";
  o.patience = 3;
  o.min_delta = 0.01;
  const TrainerFolder folder;
  TrainerListener listener;
  const TrainResult result = trainer_run(folder / "run", Start::kFresh, listener, o);
  ASSERT_TRUE(result.stopped_early);
  EXPECT_LT(result.steps, 40 * 13);
  // Told from the evaluations alone: the third in a row that gains less than min_delta is the last.
  double reference = -1;
  int64_t since = 0;
  for (size_t i = 0; i < listener.evaluations.size(); ++i) {
    const double loss = metric_value(listener.evaluations[i].dev.metrics, "loss");
    const bool gained = reference < 0 || loss < reference - 0.01;
    since = gained ? 0 : since + 1;
    if (gained) reference = loss;
    EXPECT_EQ(since == 3, i + 1 == listener.evaluations.size()) << "evaluation " << i;
  }
  TrainerListener first(result.steps - 20), rest;
  EXPECT_THROW(trainer_run(folder / "stopped", Start::kFresh, first, o), Error);
  EXPECT_TRUE(trainer_run(folder / "stopped", Start::kResume, rest, o).stopped_early);
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
    EXPECT_EQ(read_file(folder / "stopped" / name), read_file(folder / "run" / name)) << name;
}

// A state may be saved by the step in which the time ran out, after the clock was read.
TEST(Trainer, AStateWhoseTimeIsUpIsJudgedBeforeItEnds) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.time_budget = "1h";
  TrainerListener first(5), rest;
  EXPECT_THROW(trainer_run(folder / "run", Start::kFresh, first, o), Error);
  const Path state = folder / "run" / kResumeFile;
  {
    const SafetensorsFile file(state);
    std::map<std::string, std::string> metadata = file.metadata();
    metadata["seconds"] = "0x1p+13";
    std::vector<NamedTensor> tensors;
    for (const StoredTensor& stored : file.tensors()) tensors.push_back({stored.name, file.tensor(stored)});
    write_safetensors(folder / "over", tensors, metadata);
  }
  std::filesystem::rename(folder / "over", state);
  const TrainResult result = trainer_run(folder / "run", Start::kResume, rest, o);
  EXPECT_EQ(rest.steps, 0);
  ASSERT_EQ(rest.evaluations.size(), 1u);
  EXPECT_EQ(result.best_step, 5);
  EXPECT_TRUE(std::filesystem::exists(folder / "run" / "model.safetensors"));
}

TEST(Trainer, ResumeRefusesOtherData) {
  const TrainerFolder folder;
  TrainerListener first(3), rest;
  EXPECT_THROW(trainer_run(folder / "run", Start::kFresh, first), Error);
  TrainingSource other = trainer_source();
  std::swap(other.train, other.dev);
  const auto task = find_task("text-classification").train(other);
  try {
    train(*task, trainer_options(), {{"id", 1}}, {.output = folder / "run", .start = Start::kResume}, rest, rest.stop);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("inputs.train_rows: was 400, is now 100"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("inputs.train_hash: was "), std::string::npos);
  }
}

TEST(Trainer, AFolderBelongsToOneRunAtATime) {
  const TrainerFolder folder;
  class Second : public TrainerListener {
   public:
    explicit Second(const Path& output) : output_(output) {}
    void on_step(const StepInfo&) override {
      if (!words.empty()) return;
      TrainerListener inner;
      try {
        trainer_run(output_, Start::kOverwrite, inner);
        words = "accepted";
      } catch (const Error& error) {
        words = error.what();
      }
    }
    std::string words;

   private:
    Path output_;
  } listener(folder / "run");
  trainer_run(folder / "run", Start::kFresh, listener);
  EXPECT_NE(listener.words.find("another process is writing there"), std::string::npos) << listener.words;
}

TEST(Trainer, UnknownMetricIsRefusedWithTheKnownOnes) {
  const TrainerFolder folder;
  TrainOptions o = trainer_options();
  o.save_best = "accurracy";
  TrainerListener listener;
  try {
    trainer_run(folder / "run", Start::kFresh, listener, o);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("accuracy"), std::string::npos);
  }
}

}  // namespace
}  // namespace cloze
