// --tune lora: what is trained, what is saved, what a stopped run keeps.
#include "cloze/model/bert.h"
#include "cloze/train/trained_part.h"
#include "cloze/train/tuning.h"
#include "tests/train/tuning_run.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

TuningOptions lora(const std::string& targets = "query,value") {
  return {.tune = "lora", .lora_rank = 4, .lora_alpha = 8, .lora_targets = targets};
}

TEST(Lora, TrainsFewOfManyParameters) {
  TrainingSource source = tuning_source();
  source.scratch_config = BertConfig::preset("mini");
  source.dev.clear();
  const auto task = find_task("text-classification").train(source);
  apply_tuning(*task, tuning_options({.tune = "lora"}));
  const int64_t own = count_elements(trained_of(all_parameters(*task)));
  const int64_t adapters = 4 * 2 * 2 * 8 * 256, head = 256 * 256 + 256 + 2 * 256 + 2;
  EXPECT_EQ(own, adapters + head);
  const int64_t words = 16000 * 256;  // instead of the sample's vocabulary
  const int64_t rest = count_elements(task->parameters()) - task->encoder()->config().vocab_size * 256;
  EXPECT_LE(static_cast<double>(own), 0.02 * static_cast<double>(rest + words));
}

/// B starts at 0: at first nothing is changed, and A has no gradient but B has.
TEST(Lora, StartsAsTheModelItself) {
  const auto plain = tuning_task(), adapted = tuning_task();
  apply_tuning(*adapted, tuning_options(lora("all")));
  const std::vector<int64_t> rows = {0, 1, 2, 3};
  const auto loss = [&](TrainingTask& task) {
    ForwardContext context = ForwardContext::training(1, 1);
    const Var value = task.loss(rows, context);
    backward(value);
    return value.value().data<float>()[0];
  };
  EXPECT_NEAR(loss(*plain), loss(*adapted), 1e-6);
  ParameterList adapters;
  adapted->encoder()->collect_adapters(adapters);
  ASSERT_EQ(adapters.size(), 3u * 6 * 2);
  for (const Parameter* parameter : adapters) {
    ASSERT_TRUE(parameter->var.has_grad()) << parameter->name;
    const double size = backend().sum_squares(parameter->var.grad());
    EXPECT_EQ(size > 0, parameter->name.ends_with(".lora_B.weight")) << parameter->name;
  }
}

TEST(Lora, ChangesItsTargetsAndSavesAnOrdinaryModel) {
  const TuningFolder folder;
  TuningListener listener(6);
  TrainOptions o = tuning_options(lora("query,down"));
  EXPECT_THROW(tune(folder / "run", o, listener), Error);
  const auto task = tuning_task();
  const auto before = values_of(*task), after = tensors_of(folder / "run/model.safetensors");
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, bytes] : before) {
    const bool target =
        name.find("query.weight") != std::string::npos ||
        (name.find(".output.dense.weight") != std::string::npos && name.find("attention") == std::string::npos);
    const bool head = name.starts_with("classifier.") || name.starts_with("bert.pooler.");
    EXPECT_EQ(after.at(name) != bytes, target || head) << name;
  }
  const auto state = tensors_of(folder / "run/resume.safetensors");
  EXPECT_EQ(state.size(), 3u * (3 * 2 * 2 + 4)) << "A and B of two targets in three layers, and the head";
  EXPECT_TRUE(state.contains("optimizer.m.bert.encoder.layer.1.attention.self.query.lora_A.weight"));
}

/// The merged model answers as the one under training did.
TEST(Lora, TheSavedModelIsTheEvaluatedOne) {
  const TuningFolder folder;
  TuningListener listener;
  TrainOptions o = tuning_options(lora("all"));
  o.learning_rate = 1e-2;
  o.tuning.ema = 0.5;
  const TrainResult result = tune(folder / "run", o, listener);
  const ModelFiles files = ModelFiles::open(folder / "run");
  const auto predictor = find_task("text-classification").load(files, {});
  ExampleOptions examples;
  examples.columns.label_need = Need::kRequired;
  const Examples rows = read_all(tuning_source().dev, examples);
  const Evaluation found = predictor->evaluate(rows.rows, "dev");
  EXPECT_EQ(metric_value(found.metrics, "loss"), metric_value(result.best.metrics, "loss"));
  EXPECT_NE(listener.evaluations[0].dev.metrics, listener.evaluations[1].dev.metrics);
}

TEST(Lora, ResumesToTheBit) {
  expect_exact_resume(tuning_options(lora()));
  TrainOptions o = tuning_options(lora("all"));
  o.tuning.ema = 0.9;
  o.tuning.layer_decay = 0.9;
  expect_exact_resume(o);
}

TEST(Lora, TheSameBitsWithGradientCheckpointing) {
  const TuningFolder folder;
  TrainOptions o = tuning_options(lora("all"));
  TuningListener kept, recomputed;
  tune(folder / "kept", o, kept);
  o.gradient_checkpointing = true;
  tune(folder / "recomputed", o, recomputed);
  EXPECT_TRUE(read_file(folder / "kept/model.safetensors") == read_file(folder / "recomputed/model.safetensors"));
}

TEST(Lora, Bf16StaysNearF32) {
  const TuningFolder folder;
  TrainOptions o = tuning_options(lora("all"));
  o.learning_rate = 1e-2;
  TuningListener exact, coarse;
  tune(folder / "f32", o, exact);
  o.precision = "bf16";
  tune(folder / "bf16", o, coarse);
  ASSERT_EQ(exact.losses.size(), coarse.losses.size());
  for (size_t i = 0; i < exact.losses.size(); ++i) EXPECT_NEAR(coarse.losses[i], exact.losses[i], 2e-2) << i;
  EXPECT_NE(exact.losses, coarse.losses);
}

TEST(Lora, MistakesAreTold) {
  const auto refusal = [](const TuningOptions& options) { return tuning_error([&] { options.check(); }); };
  EXPECT_THAT(refusal(lora("query,vlaue")),
              HasSubstr("--lora-targets: unknown \"vlaue\", did you mean value?; there are query, key, value, "
                        "attention_output, up, down, all"));
  EXPECT_THAT(refusal(lora("query,")), HasSubstr("unknown \"\""));
  EXPECT_THAT(refusal({.lora_rank = 4}), HasSubstr("go with --tune lora only, got --tune full"));
  EXPECT_THAT(refusal({.tune = "lora", .lora_rank = 0}), HasSubstr("--lora-rank must be at least 1, got 0"));
  EXPECT_THAT(refusal({.tune = "lora", .lora_alpha = 0}), HasSubstr("--lora-alpha must be in (0, 1000000), got 0"));
  const auto task = tuning_task();
  EXPECT_THAT(tuning_error([&] { apply_tuning(*task, tuning_options({.tune = "lora", .lora_rank = 33})); }),
              HasSubstr("query.weight must have a rank of 1 to 32, got 33"));
}

}  // namespace
}  // namespace cloze::test
