// A classifier on a frozen encoder, from rows to a model directory and back; the cache of vectors.
#include "cloze/transfer/frozen_classification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloze/base/json.h"
#include "tests/base/temporary.h"
#include "tests/task/small_pretrained.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;

class FrozenTest : public testing::Test {
 protected:
  FrozenTest() {
    test::write_pretrained(folder_.path() / "model", {});
    std::string rows = "label\ttext\n";
    for (int i = 0; i < 12; ++i)
      rows += fmt::format("{}\t{} {}\n", i % 2 == 0 ? "up" : "down", i % 2 == 0 ? "good" : "bad",
                          i % 3 == 0   ? "film"
                          : i % 3 == 1 ? "the film"
                                       : "x");
    folder_.write("train.tsv", rows);
  }
  TrainingSource source() const {
    TrainingSource source;
    source.model = (folder_.path() / "model").string();
    source.train = source.dev = folder_.path() / "train.tsv";
    return source;
  }
  FrozenOptions options(const std::string& classifier = "prototype") const {
    FrozenOptions options;
    options.classifier.classifier = classifier;
    return options;
  }
  FrozenResult train(const FrozenOptions& wanted, const char* output = "out") {
    FrozenTraining training(source(), wanted,
                            {.say = [this](const std::string& line) { log_ += line + "\n"; }, .progress = {}});
    FrozenResult result = training.run();
    training.save(ModelFiles::create(folder_.path() / output));
    return result;
  }
  std::unique_ptr<Predictor> load(const char* output = "out") const {
    return load_predictor(ModelFiles::open(folder_.path() / output), "", {});
  }
  size_t cached_files() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "cache"))
      count += entry.path().extension() == ".features";
    return count;
  }
  test::TemporaryFolder folder_;
  std::string log_;
};

TEST_F(FrozenTest, WhatWasMeasuredIsWhatThePredictorMeasures) {
  for (const char* classifier : {"linear", "svm", "knn", "prototype", "mlp"}) {
    const FrozenResult result = train(options(classifier), classifier);
    EXPECT_GE(metric_value(result.dev.metrics, "accuracy"), classifier == std::string("mlp") ? 0.5 : 0.99)
        << classifier;
    const auto predictor = load(classifier);
    ExampleOptions labelled;
    labelled.columns.label_need = Need::kRequired;
    const Examples examples = read_all(folder_.path() / "train.tsv", labelled);
    EXPECT_EQ(predictor->evaluate(examples.rows, "").metrics, result.dev.metrics) << classifier;
    const Json answer = Json::parse(predictor->predict({&examples.rows[0], 1}).lines[0]);
    EXPECT_EQ(answer["scores"].size(), 2u);
    EXPECT_EQ(answer["tokens"], 4);
  }
}

TEST_F(FrozenTest, TheDirectoryIsAnOrdinaryOneOfTheEncoder) {
  FrozenOptions wanted = options();
  wanted.pooling = "cls,max@layer=1";
  wanted.normalize = true;
  train(wanted);
  const ModelFiles files = ModelFiles::open(folder_.path() / "out");
  const Json config = files.read_json();
  EXPECT_EQ(config["architectures"][0], "BertModel");
  EXPECT_EQ(config["id2label"]["0"], "down");
  EXPECT_EQ(config["cloze"]["frozen"], Json({{"pooling", "cls,max@layer=1"}, {"normalize", true}}));
  Weights before(folder_.path() / "model"), after(folder_.path() / "out");
  const auto same = [&](const char* name) {
    const Tensor a = *before.find(name), b = *after.find(name);
    return std::ranges::equal(a.values<float>(), b.values<float>());
  };
  EXPECT_TRUE(same("bert.embeddings.word_embeddings.weight"));
  EXPECT_TRUE(same("bert.encoder.layer.1.output.dense.weight"));
}

TEST_F(FrozenTest, WeightsOfHalfWidthStaySo) {
  Weights weights(folder_.path() / "model");
  std::vector<NamedTensor> halves;
  for (const std::string& name : weights.names()) halves.push_back({name, to_half(*weights.find(name), DType::kBF16)});
  write_safetensors(folder_.path() / "model" / "model.safetensors", halves);
  train(options());
  EXPECT_EQ(Weights(folder_.path() / "out").stored_type("bert.embeddings.word_embeddings.weight"), DType::kBF16);
}

TEST_F(FrozenTest, PoolingsAreTriedOnTheDevRows) {
  FrozenOptions wanted = options();
  wanted.pooling = "auto";
  train(wanted);
  for (const char* line : {"mean ", "cls ", "max ", "first-last ", "layer=0 ", "cls@layer=1 ", "chosen: "})
    EXPECT_THAT(log_, HasSubstr(line));
  EXPECT_NE(ModelFiles::open(folder_.path() / "out").read_json()["cloze"]["frozen"]["pooling"], "auto");
  TrainingSource no_dev = source();
  no_dev.dev.clear();
  EXPECT_THAT(error_of([&] { FrozenTraining(no_dev, wanted, {}); }), HasSubstr("give --dev"));
}

TEST_F(FrozenTest, PoolingsAreJudgedByTheWeightsOfClasses) {
  std::string rows = "label\ttext\n";  // the same words for both classes: half of the rows are right, whoever wins
  for (int i = 0; i < 12; ++i) rows += i % 2 == 0 ? "up\tfilm\n" : "down\tfilm\n";
  folder_.write("train.tsv", rows);
  TrainingSource weighted = source();
  weighted.class_weights = "up=3";
  FrozenOptions wanted = options("linear");
  wanted.pooling = "auto";
  wanted.classifier.c = 1;
  FrozenTraining(weighted, wanted, {.say = [this](const std::string& line) { log_ += line + "\n"; }, .progress = {}})
      .run();
  EXPECT_THAT(log_, HasSubstr("12 dev rows asked, by the weights of their classes"));
  EXPECT_THAT(log_, HasSubstr("   0.7500\n")) << "all are taken for the class that counts three times";
  EXPECT_THAT(log_, Not(HasSubstr("   0.5000\n")));
}

TEST_F(FrozenTest, TheCacheSparesTheEncoder) {
  FrozenOptions wanted = options();
  const FrozenResult plain = train(wanted);
  // 12 rows of 6 texts, train and dev the same file.
  EXPECT_EQ(plain.features.computed, 12) << "6 for train and 6 for dev, which nothing remembers";
  wanted.feature_cache = (folder_.path() / "cache").string();
  const FrozenResult first = train(wanted, "first"), second = train(wanted, "second");
  EXPECT_EQ(first.features.computed, 6);
  EXPECT_EQ(first.features.found, 18);
  EXPECT_EQ(second.features.computed, 0);
  EXPECT_EQ(cached_files(), 1u);
  EXPECT_EQ(first.dev.metrics, plain.dev.metrics);
  EXPECT_EQ(read_file(folder_.path() / "first" / "classifier.safetensors"),
            read_file(folder_.path() / "second" / "classifier.safetensors"));
  wanted.pooling = "cls";
  EXPECT_EQ(train(wanted, "third").features.computed, 6) << "another pooling has vectors of its own";
  EXPECT_EQ(cached_files(), 2u);
}

TEST_F(FrozenTest, ADamagedCacheIsPassedOver) {
  FrozenOptions wanted = options();
  wanted.feature_cache = (folder_.path() / "cache").string();
  const FrozenResult whole = train(wanted, "first");
  const Path file = std::filesystem::directory_iterator(folder_.path() / "cache")->path();
  std::string bytes = read_file(file);
  for (const std::string& broken : {bytes.substr(0, bytes.size() - 1), bytes.substr(0, 10), std::string(),
                                    std::string(bytes).replace(200, 1, 1, static_cast<char>(bytes[200] ^ 1))}) {
    write_file(file, broken);
    const FrozenResult again = train(wanted, "again");
    EXPECT_EQ(again.features.computed, 6);
    EXPECT_EQ(again.dev.metrics, whole.dev.metrics);
    EXPECT_THAT(log_, HasSubstr("1 damaged files of vectors were passed over"));
  }
}

TEST_F(FrozenTest, AnotherModelsVectorsAreNotTaken) {
  FrozenOptions wanted = options();
  wanted.feature_cache = (folder_.path() / "cache").string();
  train(wanted);
  Weights weights(folder_.path() / "model");
  std::vector<NamedTensor> tensors;
  for (const std::string& name : weights.names()) tensors.push_back({name, weights.find(name)->clone()});
  tensors[0].tensor.data<float>()[0] += 1e-3F;
  write_safetensors(folder_.path() / "model" / "model.safetensors", tensors);
  EXPECT_EQ(train(wanted, "other").features.computed, 6);
}

TEST_F(FrozenTest, FilesThatDoNotBelongTogetherAreRefused) {
  train(options());
  const ModelFiles files = ModelFiles::open(folder_.path() / "out");
  Json config = files.read_json();
  config["cloze"]["frozen"]["pooling"] = "last4-mean";
  files.write_json("config.json", config);
  EXPECT_THAT(error_of([&] { load(); }), HasSubstr("2 layers only"));
  config["cloze"]["frozen"]["pooling"] = "cls,mean";
  files.write_json("config.json", config);
  EXPECT_THAT(error_of([&] { load(); }), HasSubstr("vectors of width 32, but the classifier was fitted on 16"));
  config["cloze"]["frozen"]["pooling"] = "mean";
  config["id2label"]["2"] = "sideways";
  config["label2id"]["sideways"] = 2;
  files.write_json("config.json", config);
  EXPECT_THAT(error_of([&] { load(); }), HasSubstr("names 3 labels, but the classifier has 2"));
  std::filesystem::remove(files.path("classifier.json"));
  EXPECT_THAT(error_of([&] { load(); }), HasSubstr("classifier.json"));
}

}  // namespace
}  // namespace cloze
