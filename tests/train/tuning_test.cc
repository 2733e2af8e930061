// Rates by layer, layers that start anew, averages of weights: what they are, and that runs resume with them.
#include "cloze/train/tuning.h"

#include "cloze/optim/average.h"
#include "cloze/train/trained_part.h"
#include "tests/train/tuning_run.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

TEST(LayerDecay, RatesFallFromTheHeadDown) {
  const auto task = tuning_task();
  const ParameterList all = task->parameters();
  const std::vector<double> rates = layer_rates(all, count_layers(all), 0.5);
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string& name = all[i]->name;
    double expected = 1;
    if (name.starts_with("bert.encoder.layer.2.")) expected = 0.5;
    if (name.starts_with("bert.encoder.layer.1.")) expected = 0.25;
    if (name.starts_with("bert.encoder.layer.0.")) expected = 0.125;
    if (name.starts_with("bert.embeddings.")) expected = 0.0625;
    EXPECT_EQ(rates[i], expected) << name;
  }
}

/// One step of AdamW without weight decay moves a weight by its learning rate, whatever the gradient.
TEST(LayerDecay, MovesWeightsByTheirRates) {
  const TuningFolder folder;
  TrainOptions o = tuning_options({.layer_decay = 0.5});
  o.steps = 1;
  o.schedule = "constant";
  o.warmup_ratio = 0;
  o.weight_decay = 0;
  o.learning_rate = 1.0 / 1024;
  TuningListener listener;
  tune(folder / "run", o, listener);
  const auto task = tuning_task();
  const SafetensorsFile after(folder / "run/model.safetensors");
  const std::map<std::string, double> expected = {{"classifier.bias", 1.0},
                                                  {"bert.encoder.layer.2.output.dense.bias", 0.5},
                                                  {"bert.encoder.layer.0.output.dense.bias", 0.125},
                                                  {"bert.embeddings.LayerNorm.bias", 0.0625},
                                                  {"bert.embeddings.word_embeddings.weight", 0.0625}};
  for (const Parameter* parameter : task->parameters()) {
    if (!expected.contains(parameter->name)) continue;
    const Tensor found = after.tensor(parameter->name);
    double most = 0;
    for (int64_t i = 0; i < found.elements(); ++i)
      most = std::max<double>(most, std::abs(found.data<float>()[i] - parameter->var.value().data<float>()[i]));
    EXPECT_NEAR(most, o.learning_rate * expected.at(parameter->name), 1e-2 * most) << parameter->name;
  }
}

TEST(ReinitLayers, StartTheHighestLayersAndThePoolerAnew) {
  TrainingSource source = tuning_source();
  const auto base = find_task("text-classification").train(source),
             other = find_task("text-classification").train(source);
  TrainOptions o = tuning_options({.reinit_layers = 2});
  o.seed = 99;  // the base has another one
  apply_tuning(*other, o);
  const auto before = values_of(*base), after = values_of(*other);
  for (const auto& [name, bytes] : before) {
    const bool high = name.starts_with("bert.encoder.layer.1.") || name.starts_with("bert.encoder.layer.2.") ||
                      name.starts_with("bert.pooler.") || name.starts_with("classifier.");
    const bool random = name.ends_with(".weight") && name.find("LayerNorm") == std::string::npos;
    EXPECT_EQ(after.at(name) != bytes, high && random) << name;
  }
  EXPECT_THAT(tuning_error([&] { apply_tuning(*other, tuning_options({.reinit_layers = 4})); }),
              HasSubstr("--reinit-layers 4: the model has 3 layers; give 0 to 3"));
}

TEST(WeightAverage, IsTheCorrectedExponentialMean) {
  Parameter p = {"p", {2}, Init::kZeros, Decay::kYes, {}};
  p.set(Tensor::of<float>({2}, {0, 0}));
  WeightAverage average({&p}, 0.5);
  const auto step = [&](int64_t number, float a, float b) {
    p.set(Tensor::of<float>({2}, {a, b}));
    average.update(number);
    return std::vector<float>(average.value(0).data<float>(), average.value(0).data<float>() + 2);
  };
  EXPECT_THAT(step(1, 1, 8), testing::ElementsAre(1, 8)) << "the weights before the first step do not count";
  EXPECT_THAT(step(2, 4, 8), testing::ElementsAre(testing::FloatEq(3), 8));  // (1 x 1/2 + 4) / (1/2 + 1)
  EXPECT_THAT(step(3, 3, 1), testing::ElementsAre(testing::FloatEq(3), testing::FloatEq(4)));
  {
    const WeightAverage::InPlace in_place(average);
    EXPECT_FLOAT_EQ(p.var.value().data<float>()[1], 4);
  }
  EXPECT_FLOAT_EQ(p.var.value().data<float>()[1], 1);
}

/// The saved model is the average of the weights that the same run without --ema goes through.
TEST(WeightAverage, IsWhatARunKeeps) {
  const TuningFolder folder;
  TrainOptions o = tuning_options({});
  o.schedule = "constant";
  o.warmup_ratio = 0;
  std::map<std::string, std::vector<double>> sum;
  double weight = 0;
  for (int64_t steps = 1; steps <= 3; ++steps) {
    o.steps = steps;
    TuningListener listener;
    tune(folder / std::to_string(steps), o, listener);
    const SafetensorsFile file(folder / std::to_string(steps) / "model.safetensors");
    for (const StoredTensor& stored : file.tensors()) {
      const Tensor t = file.tensor(stored);
      auto& values = sum[std::string(stored.name)];
      values.resize(static_cast<size_t>(t.elements()));
      for (int64_t i = 0; i < t.elements(); ++i) {
        double& value = values[static_cast<size_t>(i)];
        value = 0.75 * value + static_cast<double>(t.data<float>()[i]);
      }
    }
    weight = 0.75 * weight + 1;
  }
  o.tuning.ema = 0.75;
  TuningListener listener;
  tune(folder / "average", o, listener);
  const SafetensorsFile file(folder / "average/model.safetensors");
  for (const StoredTensor& stored : file.tensors()) {
    const Tensor t = file.tensor(stored);
    const auto& expected = sum.at(std::string(stored.name));
    double error = 0;
    for (int64_t i = 0; i < t.elements(); ++i)
      error = std::max(error,
                       std::abs(expected[static_cast<size_t>(i)] / weight - static_cast<double>(t.data<float>()[i])));
    EXPECT_LT(error, 1e-6) << stored.name;
  }
}

TEST(Tuning, RunsResumeToTheBit) {
  expect_exact_resume(tuning_options({.layer_decay = 0.9, .reinit_layers = 1, .ema = 0.9}));
  expect_exact_resume(tuning_options({.tune = "top=2", .reinit_layers = 2, .ema = 0.99}));
}

TEST(Tuning, WhatDoesNotGoTogetherIsRefused) {
  const auto refusal = [](const TuningOptions& options) { return tuning_error([&] { options.check(); }); };
  EXPECT_THAT(refusal({.layer_decay = 0}), HasSubstr("--layer-decay must be in (0, 1], got 0"));
  EXPECT_THAT(refusal({.layer_decay = 1.5}), HasSubstr("--layer-decay must be in (0, 1]"));
  EXPECT_THAT(refusal({.tune = "head", .layer_decay = 0.9}), HasSubstr("--tune head trains none"));
  EXPECT_THAT(refusal({.ema = 1}), HasSubstr("--ema must be in [0, 1), got 1"));
  EXPECT_THAT(refusal({.reinit_layers = -1}), HasSubstr("must not be negative"));
  EXPECT_THAT(refusal({.tune = "top=1", .reinit_layers = 2}),
              HasSubstr("random layers that --tune top=1 does not train; take --tune full or top=2"));
  EXPECT_THAT(refusal({.tune = "bitfit", .reinit_layers = 2}), HasSubstr("that --tune bitfit does not train"));
}

}  // namespace
}  // namespace cloze::test
