// --fgm, --r-drop, --unfreeze-steps and --start-decay: what they do to a run.
#include "cloze/train/trained_part.h"
#include "cloze/train/tuning.h"
#include "tests/train/tuning_run.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<TrainingTask> r_drop_task(double factor) {
  TrainingSource source = tuning_source();
  source.r_drop = factor;
  return find_task("text-classification").train(source);
}

double loss_of(TrainingTask& task, const std::vector<int64_t>& rows, InputPerturbation* perturbation = nullptr) {
  ForwardContext context = ForwardContext::training(1, 1);
  context.set_perturbation(perturbation);
  const Var loss = task.loss(rows, context);
  backward(loss);
  return static_cast<double>(loss.value().data<float>()[0]);
}

/// What goes against the answer raises the loss, by about size times the gradients' norm.
TEST(Fgm, TheChangedEmbeddingsAreWorse) {
  const auto task = tuning_task();
  InputPerturbation perturbation(0.01);
  const double before = loss_of(*task, {0, 1, 2, 3}, &perturbation);
  EXPECT_EQ(before, loss_of(*tuning_task(), {0, 1, 2, 3})) << "nothing is changed at first";
  perturbation.turn();
  EXPECT_GT(loss_of(*task, {0, 1, 2, 3}, &perturbation), before);
}

TEST(Fgm, ChangesTheRunAndResumesToTheBit) {
  const TuningFolder folder;
  TuningListener plain, adversarial;
  tune(folder / "plain", tuning_options({}), plain);
  tune(folder / "fgm", tuning_options({.fgm = 0.1}), adversarial);
  EXPECT_EQ(plain.losses[0], adversarial.losses[0]) << "the loss that is told is that of the rows as they are";
  EXPECT_NE(plain.losses[2], adversarial.losses[2]);
  expect_exact_resume(tuning_options({.fgm = 0.1}));
  expect_exact_resume(tuning_options({.tune = "lora", .fgm = 0.05}));
}

TEST(RDrop, IsTheMeanOfTwoDrawsAndTheirDistance) {
  const std::vector<int64_t> rows = {0, 1, 2, 3, 4};
  const double little = loss_of(*r_drop_task(1e-9), rows), one = loss_of(*r_drop_task(1), rows),
               three = loss_of(*r_drop_task(3), rows);
  EXPECT_GT(one, little) << "two draws of dropout differ";
  EXPECT_NEAR(three - little, 3 * (one - little), 1e-5);
  const auto plain = tuning_task();
  std::vector<int64_t> twice = rows;
  twice.insert(twice.end(), rows.begin(), rows.end());
  EXPECT_NEAR(little, loss_of(*plain, twice), 1e-6);
}

TEST(UnfreezeSteps, LayersComeFromAbove) {
  const TuningFolder folder;
  TrainOptions o = tuning_options({.unfreeze_steps = 2});
  const auto start = tuning_task();
  const auto before = values_of(*start);
  for (const int64_t stop : {1, 3, 5, 7}) {
    TuningListener listener(stop);
    const Path run = folder / std::to_string(stop);
    EXPECT_THROW(tune(run, o, listener), Error);
    for (const auto& [name, bytes] : tensors_of(run / "resume.safetensors")) {
      if (name.starts_with("optimizer.")) continue;
      const int64_t begins = (4 - height_of(name, 3)) * 2;
      if (name.ends_with("key.bias")) continue;  // attention does not see it: its gradient is rounding
      EXPECT_EQ(bytes != before.at(name), stop > begins) << name << " after step " << stop;
    }
  }
  expect_exact_resume(o);
}

TEST(StartDecay, KeepsTheEncoderNearItsStart) {
  const auto distance = [](const TuningOptions& tuning) {
    const TuningFolder folder;
    TuningListener listener;
    TrainOptions o = tuning_options(tuning);
    o.weight_decay = 0;
    tune(folder / "run", o, listener);
    const auto task = tuning_task();
    const SafetensorsFile after(folder / "run/model.safetensors");
    std::pair<double, double> sums;  // encoder, head
    for (const Parameter* parameter : task->parameters()) {
      const Tensor found = after.tensor(parameter->name);
      double& sum = height_of(parameter->name, 3) > 3 ? sums.second : sums.first;
      for (int64_t i = 0; i < found.elements(); ++i)
        sum += std::pow(found.data<float>()[i] - parameter->var.value().data<float>()[i], 2);
    }
    return sums;
  };
  const auto [free_encoder, free_head] = distance({});
  const auto [held_encoder, held_head] = distance({.start_decay = 500});
  EXPECT_LT(held_encoder, 0.5 * free_encoder);
  EXPECT_GT(held_head, 0.5 * free_head);
  expect_exact_resume(tuning_options({.start_decay = 10}));
}

TEST(Careful, MistakesAreTold) {
  const auto refusal = [](const TuningOptions& options) { return tuning_error([&] { options.check(); }); };
  EXPECT_THAT(refusal({.fgm = -1}), HasSubstr("--fgm must be in [0, 1000000), got -1"));
  EXPECT_THAT(refusal({.unfreeze_steps = -1}), HasSubstr("--unfreeze-steps must not be negative, got -1"));
  EXPECT_THAT(refusal({.tune = "head", .unfreeze_steps = 3}), HasSubstr("--tune head trains none"));
  EXPECT_THAT(refusal({.start_decay = -1}), HasSubstr("--start-decay must be in"));
}

}  // namespace
}  // namespace cloze::test
