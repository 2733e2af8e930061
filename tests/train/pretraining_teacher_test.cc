// Pretraining with a teacher: what is learned of it, what the losses are made of, and what a resumed run must have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/thread_team.h"
#include "cloze/train/run_state.h"
#include "tests/base/temporary.h"
#include "tests/train/thread_job.h"
#include "tiny_corpus.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

/// A corpus, and a teacher of it that is wider than the students that TinyCorpus::options() makes.
class PretrainingTeacherTest : public testing::Test {
 protected:
  PretrainingTeacherTest() {
    PretrainingOptions o = corpus_.options("mlm,nsp");
    o.scratch_config.hidden_size = 48;
    o.scratch_config.num_hidden_layers = 3;
    RunListener listener;
    pretrain(o, pretraining_steps(60), teacher(), listener);
  }
  Path teacher() const { return corpus_ / "teacher"; }
  PretrainingOptions student(const std::string& objective, double weight, double temperature = 2,
                             StateOptions states = {}) const {
    PretrainingOptions o = corpus_.options(objective);
    o.teacher = {.model = teacher().string(), .weight = weight, .temperature = temperature, .states = states};
    return o;
  }
  std::string refused(const PretrainingOptions& options) const {
    return error_of([&] { make_pretraining(options); });
  }
  TinyCorpus corpus_;
};

/// The loss of the first step, and its metrics, both of the same weights.
struct FirstStep {
  double loss;
  MetricList metrics;
};
FirstStep first_step(const PretrainingOptions& options) {
  const auto task = make_pretraining(options);
  const std::vector<int64_t> rows = {0, 1, 2, 3, 4, 5, 6, 7};
  ForwardContext context = ForwardContext::training(7, 0);
  const double loss = static_cast<double>(*task->loss(rows, context).value().data<float>());
  return {loss, task->training_metrics()};
}

TEST_F(PretrainingTeacherTest, TheLossIsTheSharesOfWordsAndAnswers) {
  const FirstStep alone = first_step(corpus_.options("mlm,nsp"));
  for (const double weight : {0.25, 1.0}) {
    const FirstStep step = first_step(student("mlm,nsp", weight));
    const double distance = metric_value(step.metrics, "distillation_loss");
    EXPECT_EQ(metric_value(step.metrics, "mlm_loss"), metric_value(alone.metrics, "mlm_loss")) << "the words' own";
    EXPECT_GT(distance, 0.01);
    EXPECT_NEAR(step.loss,
                (1 - weight) * metric_value(step.metrics, "mlm_loss") + weight * distance +
                    metric_value(step.metrics, "nsp_loss"),
                1e-5)
        << "the sentences keep their labels";
  }
  EXPECT_NE(first_step(student("mlm", 1, 1)).loss, first_step(student("mlm", 1, 2)).loss) << "temperatures";
  // Only where a teacher is.
  EXPECT_THROW(metric_value(alone.metrics, "distillation_loss"), Error);
  const FirstStep silent = first_step(student("mlm,nsp", 0, 2));
  EXPECT_EQ(silent.loss, alone.loss);
  EXPECT_THROW(metric_value(silent.metrics, "distillation_loss"), Error);
}

TEST_F(PretrainingTeacherTest, StatesAddTheirDistances) {
  const FirstStep alone = first_step(corpus_.options("mlm"));
  const FirstStep hidden = first_step(student("mlm", 0, 2, {.hidden = 1}));
  const FirstStep both = first_step(student("mlm", 0, 2, {.hidden = 1, .relations = 0.5}));
  EXPECT_NEAR(hidden.loss, alone.loss + metric_value(hidden.metrics, "state_loss"), 1e-5);
  EXPECT_GT(metric_value(hidden.metrics, "state_loss"), 0.01);
  EXPECT_GT(metric_value(both.metrics, "state_loss"), metric_value(hidden.metrics, "state_loss"));
  // The widths differ: a projection is trained beside the student.
  std::vector<std::string> names;
  const auto task = make_pretraining(student("mlm", 0, 2, {.hidden = 1}));
  for (const Parameter* parameter : task->parameters()) names.push_back(parameter->name);
  EXPECT_THAT(names, testing::Contains("distill.projection.weight"));
}

TEST_F(PretrainingTeacherTest, OfItselfThereIsNothingToLearn) {
  PretrainingOptions own = student("mlm", 1);
  own.model = teacher().string();
  own.vocab = "";
  own.teacher.states = {.hidden = 1, .relations = 1};
  const FirstStep step = first_step(own);
  EXPECT_EQ(metric_value(step.metrics, "distillation_loss"), 0);
  EXPECT_NEAR(metric_value(step.metrics, "state_loss"), 0, 1e-6);
  EXPECT_NEAR(step.loss, 0, 1e-6);
  EXPECT_GT(metric_value(step.metrics, "mlm_loss"), 0.1);
  own.dropout = 0.2;
  EXPECT_GT(metric_value(first_step(own).metrics, "distillation_loss"), 0.001) << "dropout is the student's alone";
}

TEST_F(PretrainingTeacherTest, AnswersAloneTeachTheWords) {
  RunListener listener;
  TrainOptions o = pretraining_steps(100);
  o.eval_steps = 10;
  PretrainingOptions options = student("mlm", 1, 1);
  options.scratch_config.initializer_range = 0.1;
  pretrain(options, o, corpus_ / "student", listener);
  const EvaluationInfo &early = listener.evaluations.front(), &last = listener.evaluations.back();
  EXPECT_LT(metric_value(last.train, "distillation_loss"), metric_value(early.train, "distillation_loss") / 2);
  EXPECT_LT(metric_value(last.dev.metrics, "mlm_loss"), metric_value(early.dev.metrics, "mlm_loss") - 0.3);
  EXPECT_NEAR(last.train_loss, metric_value(last.train, "distillation_loss"), 0.05);
  const std::string log = read_file(corpus_ / "student" / kLogFile);
  EXPECT_THAT(log, HasSubstr("\"train_distillation_loss\":"));
}

TEST_F(PretrainingTeacherTest, WhatIsBesideTheStudentIsNotSaved) {
  RunListener listener;
  pretrain(student("mlm", 0.5, 2, {.hidden = 1, .relations = 1}), pretraining_steps(2), corpus_ / "student", listener);
  EXPECT_EQ(read_file(corpus_ / "student" / "model.safetensors").find("distill"), std::string::npos);
  PretrainingOptions onward = corpus_.options("mlm");
  onward.model = (corpus_ / "student").string();
  onward.vocab = "";
  EXPECT_EQ(make_pretraining(onward)->evaluate().metrics, listener.evaluations.back().dev.metrics);
}

TEST_F(PretrainingTeacherTest, StoppedAndResumedIsAsIfNeverStopped) {
  PretrainingOptions options = student("mlm,nsp", 0.5, 2, {.hidden = 1, .relations = 1});
  options.dropout = 0.1;
  TrainOptions o = pretraining_steps(7);
  o.eval_steps = 4;
  RunListener whole;
  pretrain(options, o, corpus_ / "whole", whole);
  for (const int64_t stop : {2, 4}) {
    const Path output = corpus_ / ("stopped-" + std::to_string(stop));
    RunListener first(stop), rest;
    EXPECT_THROW(pretrain(options, o, output, first), Error);
    pretrain(options, o, output, rest, Start::kResume);
    for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
      EXPECT_TRUE(read_file(output / name) == read_file(corpus_ / "whole" / name)) << name << " after " << stop;
  }
}

TEST_F(PretrainingTeacherTest, GradientCheckpointingChangesNoBits) {
  for (const StateOptions& states : {StateOptions{}, StateOptions{.hidden = 1, .relations = 0.5}}) {
    PretrainingOptions options = student("mlm,nsp", 0.5, 2, states);
    options.dropout = 0.1;
    options.scratch_config.num_hidden_layers = 3;
    TrainOptions o = pretraining_steps(4);
    RunListener kept, recomputed;
    const std::string name = states.any() ? "states" : "answers";
    pretrain(options, o, corpus_ / (name + "-kept"), kept);
    o.gradient_checkpointing = true;
    pretrain(options, o, corpus_ / (name + "-recomputed"), recomputed);
    for (size_t i = 0; i < kept.steps.size(); ++i) EXPECT_EQ(kept.steps[i].loss, recomputed.steps[i].loss) << name << i;
    for (const char* file : {"model.safetensors", "metrics.jsonl"})
      EXPECT_TRUE(read_file(corpus_ / (name + "-kept") / file) == read_file(corpus_ / (name + "-recomputed") / file))
          << name << " " << file;
  }
}

TEST_F(PretrainingTeacherTest, TheInputsNameTheTeachersWeights) {
  const Json before = make_pretraining(student("mlm", 0.5))->fingerprint()["teacher"];
  EXPECT_EQ(before["model_config"]["hidden_size"], 48);
  EXPECT_EQ(make_pretraining(student("mlm", 0, 2, {.hidden = 1}))->fingerprint()["teacher"], before);
  EXPECT_FALSE(make_pretraining(corpus_.options("mlm"))->fingerprint().contains("teacher"));
  std::string bytes = read_file(teacher() / "model.safetensors");
  bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
  write_file(teacher() / "model.safetensors", bytes);
  EXPECT_NE(make_pretraining(student("mlm", 0.5))->fingerprint()["teacher"], before);
}

TEST_F(PretrainingTeacherTest, ManyProcessesHaveTheLossesOfOne) {
  set_thread_count(1);
  const PretrainingOptions options = student("mlm,nsp", 0.5, 2, {.hidden = 1, .relations = 0.5});
  TrainOptions o = pretraining_steps(4);
  o.batch_size = 4;
  o.gradient_accumulation = 2;
  RunListener one;
  pretrain(options, o, corpus_ / "one", one);
  ThreadJob::run(2, [&](Communicator& communicator) {
    RunListener own;
    const auto task = make_pretraining(options);
    train(*task, o, {{"id", 1}}, {.output = corpus_ / "two", .start = Start::kFresh, .communicator = &communicator},
          own, own.stop);
    ASSERT_EQ(own.steps.size(), 4u);
    for (size_t i = 0; i < own.steps.size(); ++i) EXPECT_NEAR(own.steps[i].loss, one.steps[i].loss, 1e-5) << i;
    if (communicator.rank() != 0) return;
    for (const char* name : {"distillation_loss", "state_loss", "mlm_loss"})
      EXPECT_NEAR(metric_value(own.evaluations[0].train, name), metric_value(one.evaluations[0].train, name), 1e-5)
          << name;
  });
  set_thread_count(0);
}

TEST_F(PretrainingTeacherTest, OnlyTeachersThatFitAreTaken) {
  PretrainingOptions o = student("mlm", 0.5);
  o.rows.max_length = 64;
  // A vocabulary with one word changed, and one with one more.
  std::string words = read_file(corpus_ / "vocab.txt");
  for (const std::string& other :
       {words + "more\n", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhen" + words.substr(words.find("the\n") + 3)}) {
    write_file(corpus_ / "other.txt", other);
    o.vocab = (corpus_ / "other.txt").string();
    EXPECT_THAT(refused(o), HasSubstr("has another vocabulary than the student"));
  }
  o.vocab = (corpus_ / "vocab.txt").string();
  o.cased = true;
  EXPECT_THAT(refused(o), HasSubstr("has another vocabulary than the student"));
  o.cased = false;
  EXPECT_EQ(refused(o), "no error");
  o.rows.max_length = 65;
  o.scratch_config.max_position_embeddings = 128;
  EXPECT_THAT(refused(o), HasSubstr("--max-length 65 is more than the 64 positions of the teacher"));
}

}  // namespace
}  // namespace cloze::test
