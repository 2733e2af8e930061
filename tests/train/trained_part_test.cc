// --tune: which parameters change, what a run keeps of the others, what the tape records.
#include "cloze/train/trained_part.h"

#include "cloze/base/thread_team.h"
#include "cloze/ops/var.h"
#include "cloze/tensor/storage.h"
#include "cloze/train/memory_estimate.h"
#include "cloze/train/tuning.h"
#include "tests/train/thread_job.h"
#include "tests/train/tuning_run.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

bool in_head(const std::string& name) {
  return name.starts_with("classifier.") || name.starts_with("bert.pooler.");
}
bool trained_by(const std::string& tune, const std::string& name) {
  if (tune == "top=1" && name.starts_with("bert.encoder.layer.2.")) return true;
  if (tune == "top=3" && name.starts_with("bert.encoder.layer.")) return true;
  if (tune == "bitfit" && name.ends_with(".bias")) return true;
  return in_head(name) || tune == "full";
}

class Tuned : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Parts, Tuned, testing::Values("full", "head", "top=1", "top=3", "bitfit"),
                         [](const auto& one) { return std::to_string(one.index); });

TEST_P(Tuned, ChangesItsPartAndNotABitOfTheRest) {
  const TuningFolder folder;
  const TuningOptions tuning{.tune = GetParam()};
  TuningListener listener(6);
  EXPECT_THROW(tune(folder / "run", tuning_options(tuning), listener), Error);
  const auto task = tuning_task();
  const auto before = values_of(*task), after = tensors_of(folder / "run/model.safetensors");
  const auto state = tensors_of(folder / "run/resume.safetensors");
  ASSERT_EQ(before.size(), after.size()) << "frozen ones are saved too";
  for (const auto& [name, bytes] : before) {
    const bool trained = trained_by(GetParam(), name);
    EXPECT_EQ(after.at(name) != bytes, trained) << name;
    EXPECT_EQ(state.contains(name), trained) << name;
    EXPECT_EQ(state.contains("optimizer.m." + name), trained) << name;
  }
}

TEST_P(Tuned, ResumesToTheBit) {
  expect_exact_resume(tuning_options({.tune = GetParam()}));
}

TEST_P(Tuned, TheSameBitsWithGradientCheckpointing) {
  const TuningFolder folder;
  TrainOptions o = tuning_options({.tune = GetParam()});
  TuningListener kept, recomputed;
  tune(folder / "kept", o, kept);
  o.gradient_checkpointing = true;
  tune(folder / "recomputed", o, recomputed);
  EXPECT_TRUE(read_file(folder / "kept/model.safetensors") == read_file(folder / "recomputed/model.safetensors"));
}

/// What training a part leaves out does not change what the rest gets.
TEST_P(Tuned, GradientsAreThoseOfFullTraining) {
  const auto full = tuning_task(), part = tuning_task();
  choose_trained(part->parameters(), parse_trained_part(GetParam()));
  const std::vector<int64_t> rows = {0, 1, 2, 3, 4, 5, 6, 7};
  for (const auto& task : {full.get(), part.get()}) {
    ForwardContext context = ForwardContext::training(1, 1);
    backward(task->loss(rows, context));
  }
  const ParameterList expected = full->parameters(), found = part->parameters();
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& name = expected[i]->name;
    EXPECT_EQ(found[i]->var.has_grad(), trained_by(GetParam(), name)) << name;
    if (!found[i]->var.has_grad()) continue;
    const Tensor a = expected[i]->var.grad(), b = found[i]->var.grad();
    double largest = 0, error = 0;
    for (int64_t k = 0; k < a.elements(); ++k) {
      largest = std::max<double>(largest, std::abs(a.data<float>()[k]));
      error = std::max<double>(error, std::abs(a.data<float>()[k] - b.data<float>()[k]));
    }
    EXPECT_LE(error, 1e-5 * largest) << name;
  }
}

TEST_P(Tuned, MemoryIsAsEstimated) {
  TrainingSource source = tuning_source(6);
  source.scratch_config.hidden_size = 128;
  source.scratch_config.intermediate_size = 512;
  source.dev.clear();
  const auto task = find_task("text-classification").train(source);
  TrainOptions o = tuning_options({.tune = GetParam()});
  o.batch_size = 100;
  apply_tuning(*task, o);
  const MemoryEstimate e = estimate_memory(*task, o);
  EXPECT_EQ(e.moments, 8 * count_elements(trained_of(task->parameters())));
  AdamW optimizer(trained_of(task->parameters()), {});
  reset_peak_memory();
  for (int64_t step = 0; step < 2; ++step) {
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < 100; ++row) rows.push_back(step * 100 + row);
    ForwardContext context = ForwardContext::training(1, static_cast<uint64_t>(step));
    backward(task->loss(rows, context));
    optimizer.step(1e-5, 1);
  }
  const double ratio = static_cast<double>(e.total() - e.rows) / static_cast<double>(memory_use().peak_bytes);
  EXPECT_GT(ratio, 0.75);
  EXPECT_LT(ratio, 1.33);
}

TEST(TrainedPart, IsTold) {
  const auto task = tuning_task();
  const int64_t all = count_elements(task->parameters());
  choose_trained(task->parameters(), parse_trained_part("head"));
  const int64_t head = 32 * 32 + 32 + 2 * 32 + 2;
  EXPECT_EQ(count_elements(trained_of(task->parameters())), head);
  EXPECT_EQ(describe_trained(task->parameters()), fmt::format("training 1,122 of {},{:03} parameters ({:.1f} %)",
                                                              all / 1000, all % 1000, 112200.0 / double(all)));
}

TEST(TrainedPart, WhatCannotBeIsRefused) {
  EXPECT_THAT(tuning_error([] { parse_trained_part("haed"); }),
              HasSubstr("unknown \"haed\", did you mean head?; there are full, head, top=K, bitfit"));
  for (const char* text : {"top=0", "top=", "top=-1", "top=1x", "top=99999999999999999999"})
    EXPECT_THAT(tuning_error([&] { parse_trained_part(text); }), HasSubstr("1 to those that the model has")) << text;
  const auto task = tuning_task();
  EXPECT_THAT(tuning_error([&] { choose_trained(task->parameters(), parse_trained_part("top=4")); }),
              HasSubstr("--tune top=4: the model has 3 layers; give 1 to 3"));
}

/// Weights that the run does not keep must be the same when it goes on.
TEST(TrainedPart, AResumedRunNeedsTheSameFrozenWeights) {
  const TuningFolder folder;
  const TrainOptions o = tuning_options({.tune = "head"});
  TuningListener first(5), rest;
  EXPECT_THROW(tune(folder / "run", o, first), Error);
  TrainingSource other = tuning_source();
  other.seed = 8;
  const auto task = find_task("text-classification").train(other);
  try {
    train(*task, o, {{"id", 1}}, {.output = folder / "run", .start = Start::kResume}, rest, rest.stop);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the weights that this run does not train (--tune head) are not those"));
  }
}

/// Several processes sum the gradients of what is trained, and all have the same weights.
TEST(TrainedPart, SeveralProcessesTrainThePart) {
  const TuningFolder folder;
  set_thread_count(1);
  for (const char* part : {"head", "top=1", "bitfit"}) {
    TrainOptions o = tuning_options({.tune = part});
    o.batch_size = 8;
    o.gradient_accumulation = 4;
    const std::string name = std::to_string(part[0]);
    TuningListener one;
    tune(folder / ("one-" + name), o, one);
    ThreadJob::run(2, [&](Communicator& communicator) {
      const auto task = tuning_task();
      TuningListener own;
      train(*task, o, {{"id", 1}}, {.output = folder / ("two-" + name), .communicator = &communicator}, own, own.stop);
      ASSERT_EQ(own.losses.size(), one.losses.size());
      for (size_t i = 0; i < one.losses.size(); ++i) EXPECT_NEAR(own.losses[i], one.losses[i], 1e-5) << part << i;
    });
  }
  set_thread_count(0);
}

}  // namespace
}  // namespace cloze::test
