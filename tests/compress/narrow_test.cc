// The hidden width: what is left of each tensor, and that the model of it is one.
#include "cloze/compress/narrow.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/compress/write_model.h"
#include "random_model.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Narrow, TheMostImportantStayInMultiples) {
  const std::vector<double> scores = {5, 1, 9, 9, 0, 3, 7, 2};
  EXPECT_THAT(keep_hidden(scores, 0.5, 1), ElementsAre(0, 2, 3, 6));
  EXPECT_THAT(keep_hidden(scores, 0.5, 3), ElementsAre(2, 3, 6)) << "four to the nearest multiple";
  EXPECT_THAT(keep_hidden(scores, 0, 2), ElementsAre(2, 3)) << "none is no model";
  EXPECT_EQ(keep_hidden(scores, 1, 16).size(), 8U);
  try {
    (void)keep_hidden(scores, 0.5, 8);
    FAIL() << "nothing would go";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("keeps all 8 numbers"));
  }
}

TEST(Narrow, AllKeptIsTheModelItself) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  std::vector<int64_t> all(12);
  std::iota(all.begin(), all.end(), 0);
  write_narrow(dir.path() / "a", dir.path() / "n", all);
  for (const char* file : {"model.safetensors", "config.json"})
    EXPECT_TRUE(read_file(dir.path() / "a" / file) == read_file(dir.path() / "n" / file));
}

TEST(Narrow, LayersBeyondThoseOfTheConfigAreNoPartOfTheModel) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  Json config = ModelFiles::open(dir.path() / "a").read_json();
  config["num_hidden_layers"] = 2;
  ModelFiles::open(dir.path() / "a").write_json(ModelFiles::kConfig, config);
  write_narrow(dir.path() / "a", dir.path() / "n", {0, 1, 2, 3, 4, 5});
  const Weights after{dir.path() / "n"};
  EXPECT_TRUE(after.has("bert.encoder.layer.1.output.dense.weight"));
  EXPECT_FALSE(after.has("bert.encoder.layer.2.output.dense.weight"));
}

/// Rows and columns of a [M,K]; empty: all of them.
std::vector<float> part(const Tensor& x, std::vector<int64_t> rows, std::vector<int64_t> columns) {
  const int64_t M = x.shape()[0], K = x.shape().rank() == 1 ? 1 : x.shape()[1];
  const auto fill = [](std::vector<int64_t>& numbers, int64_t end) {
    if (!numbers.empty()) return;
    numbers.resize(static_cast<size_t>(end));
    std::iota(numbers.begin(), numbers.end(), 0);
  };
  fill(rows, M);
  fill(columns, K);
  std::vector<float> picked;
  for (const int64_t m : rows)
    for (const int64_t k : columns) picked.push_back(x.data<float>()[m * K + k]);
  return picked;
}

TEST(Narrow, EveryTensorLosesTheSameNumbersAndTheModelRuns) {
  const test::TemporaryFolder dir;
  BertConfig config = test::small_config();
  config.head_size = 4;
  config.layers = {{3, 20}, {0, 7}, {2, 0}};
  test::write_random(dir.path() / "a", config);
  const std::vector<int64_t> kept = {0, 3, 4, 8, 11}, none;
  write_narrow(dir.path() / "a", dir.path() / "n", kept);
  Weights before{dir.path() / "a"}, after{dir.path() / "n"};
  EXPECT_EQ(before.names(), after.names());
  const auto expect_part = [&](const std::string& name, const std::vector<int64_t>& rows,
                               const std::vector<int64_t>& columns) {
    const Tensor x = *before.find(name), y = *after.find(name);
    const auto values = y.values<float>();
    EXPECT_EQ(part(x, rows, columns), std::vector<float>(values.begin(), values.end())) << name;
  };
  expect_part("bert.embeddings.word_embeddings.weight", none, kept);
  expect_part("bert.embeddings.position_embeddings.weight", none, kept);
  expect_part("bert.embeddings.LayerNorm.bias", kept, none);
  const std::string layer = "bert.encoder.layer.0.";
  expect_part(layer + "attention.self.query.weight", none, kept);
  expect_part(layer + "attention.self.value.bias", none, none);
  expect_part(layer + "attention.output.dense.weight", kept, none);
  expect_part(layer + "attention.output.LayerNorm.weight", kept, none);
  expect_part(layer + "intermediate.dense.weight", none, kept);
  expect_part(layer + "intermediate.dense.bias", none, none);
  expect_part(layer + "output.dense.weight", kept, none);
  expect_part(layer + "output.dense.bias", kept, none);
  expect_part("bert.pooler.dense.weight", kept, kept);
  const BertConfig narrow = load_config(ModelFiles::open(dir.path() / "n"));
  EXPECT_EQ(narrow.hidden_size, 5);
  EXPECT_EQ(narrow.head_width(), 4) << "heads keep theirs";
  EXPECT_EQ(narrow.layers, config.layers);
  Bert bert(narrow, Pooler::kWith);
  ParameterList parameters;
  bert.collect(parameters);
  load_parameters(after, parameters, 0, 0, [](const std::string&) { return false; });
  EXPECT_TRUE(after.unused().empty());
  const NoGrad no_grad;
  ForwardContext context;
  EXPECT_EQ(bert.forward(make_ragged_batch({{1, 2, 3}}, {}), context).shape(), Shape({3, 5}));
  // Twice is once.
  write_narrow(dir.path() / "n", dir.path() / "twice", {0, 2, 4});
  write_narrow(dir.path() / "a", dir.path() / "once", {0, 4, 11});
  EXPECT_EQ(read_file(dir.path() / "once" / "model.safetensors"),
            read_file(dir.path() / "twice" / "model.safetensors"));
  // Heads of 4 do not fill a width of 5.
  try {
    write_dense(dir.path() / "n", dir.path() / "d");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("do not fill a hidden width of 5"));
  }
}

TEST(Narrow, AnOrdinaryShapeIsAnOrdinaryModel) {
  BertConfig config = test::small_config();  // three heads of 4
  config.head_size = 4;
  config.layers = {{2, 5}, {2, 5}, {2, 5}};
  const BertConfig narrow = narrow_config(config, 8);
  EXPECT_TRUE(narrow.layers.empty());
  EXPECT_EQ(narrow.num_attention_heads, 2);
  EXPECT_EQ(narrow.head_size, 0);
  EXPECT_THROW(narrow_config(config, 0), Error);
  EXPECT_THROW(narrow_config(config, 13), Error);
}

TEST(Narrow, WhatIsNotKnownIsRefused) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  const ModelFiles files = ModelFiles::open(dir.path() / "a");
  std::vector<NamedTensor> tensors;
  {
    Weights weights{dir.path() / "a"};
    for (const std::string& name : weights.names()) tensors.push_back({name, weights.find(name)->clone()});
  }
  const auto refused = [&](const NamedTensor& extra, const char* words) {
    std::vector<NamedTensor> all = tensors;
    all.push_back(extra);
    write_safetensors(files.path(ModelFiles::kWeights), all);
    try {
      write_narrow(dir.path() / "a", dir.path() / "n", {0, 1});
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
    EXPECT_FALSE(std::filesystem::exists(dir.path() / "n" / "model.safetensors"));
  };
  refused({"my.weight", Tensor::zeros({12, 12}, DType::kF32)}, "what of tensor my.weight is the hidden width");
  refused({"qa_outputs.weight", Tensor::zeros({2, 11}, DType::kF32)}, "config.json has a hidden width of 12");
  refused({"classifier.weight", Tensor::zeros({12}, DType::kF32)}, "not as it should be");
}

}  // namespace
}  // namespace cloze
