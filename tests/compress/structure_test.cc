// Pruned models: they compute what the whole model computes with the same parts put to zero, and their files say so.
#include "cloze/compress/structure.h"

#include <gmock/gmock.h>

#include "cloze/base/error.h"
#include "cloze/compress/write_model.h"
#include "random_model.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using test::small_config;
using test::write_random;

using Change = std::function<void(const std::string& name, const Tensor& value)>;

/// Pooled vectors and hidden states of a model directory, its tensors changed before.
std::vector<float> changed_outputs(const Path& folder, const Change& change = {}) {
  const ModelFiles files = ModelFiles::open(folder);
  const BertConfig config = load_config(files);
  Bert bert(config, Pooler::kWith);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights(folder);
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  EXPECT_THAT(weights.unused(), ElementsAre());
  for (Parameter* parameter : parameters) {
    const Tensor value = parameter->var.value().clone();
    if (change) change(parameter->name, value);
    parameter->set(value);
  }
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3, 10}, {5, 6}}, {{0, 0, 1, 1}, {0, 0}});
  const NoGrad no_grad;
  ForwardContext context;
  const Tensor hidden = bert.forward(batch, context).value(), pooled = bert.pooled_only(batch, context).value();
  std::vector<float> all(hidden.data<float>(), hidden.data<float>() + hidden.elements());
  all.insert(all.end(), pooled.data<float>(), pooled.data<float>() + pooled.elements());
  return all;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, double bound = 2e-5) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], bound) << i;
}

/// Columns of a [M,K] to 0.
void zero_columns(const Tensor& x, const std::vector<int64_t>& columns) {
  for (int64_t m = 0; m < x.shape()[0]; ++m)
    for (const int64_t k : columns) x.data<float>()[m * x.shape()[1] + k] = 0;
}

TEST(Structure, APrunedModelIsTheWholeOneWithZeros) {
  const test::TemporaryFolder place;
  write_random(place.path() / "m", small_config());
  // Layer 0 loses head 1 and neurons 0 and 3; layer 1 all heads; layer 2 all neurons and heads 0 and 1.
  const Structure keep = {{0, {0, 2}, {1, 2, 4}}, {1, {}, {0, 1, 2, 3, 4}}, {2, {2}, {}}};
  write_pruned(place.path() / "m", place.path() / "p", keep, {});
  const BertConfig pruned = load_config(ModelFiles::open(place.path() / "p"));
  EXPECT_THAT(pruned.layers, ElementsAre(LayerShape{2, 3}, LayerShape{0, 5}, LayerShape{1, 0}));
  EXPECT_EQ(pruned.head_width(), 4);
  const std::vector<float> found = changed_outputs(place.path() / "p");
  expect_near(found, changed_outputs(place.path() / "m", [](const std::string& name, const Tensor& value) {
                const auto is = [&](const char* rest) { return name == std::string("bert.encoder.layer.") + rest; };
                if (is("0.attention.output.dense.weight")) zero_columns(value, {4, 5, 6, 7});
                if (is("0.output.dense.weight")) zero_columns(value, {0, 3});
                if (is("1.attention.output.dense.weight")) value.set_zero();
                if (is("2.attention.output.dense.weight")) zero_columns(value, {0, 1, 2, 3, 4, 5, 6, 7});
                if (is("2.output.dense.weight")) value.set_zero();
              }));
  write_dense(place.path() / "p", place.path() / "d");
  const BertConfig dense = load_config(ModelFiles::open(place.path() / "d"));
  EXPECT_TRUE(dense.layers.empty() && dense.cloze.empty());
  EXPECT_EQ(dense.num_attention_heads, 3);
  EXPECT_EQ(dense.intermediate_size, 5);
  expect_near(found, changed_outputs(place.path() / "d"));
}

TEST(Structure, PrunedAgainAndWithoutLayers) {
  const test::TemporaryFolder place;
  write_random(place.path() / "m", small_config());
  write_pruned(place.path() / "m", place.path() / "once", {{0, {0, 2}, {1, 2, 4}}, {2, {1, 2}, {0}}}, {});
  write_pruned(place.path() / "once", place.path() / "twice", {{0, {1}, {0, 2}}, {1, {0, 1}, {0}}}, {});
  write_pruned(place.path() / "m", place.path() / "at-once", {{0, {2}, {1, 4}}, {2, {1, 2}, {0}}}, {});
  EXPECT_EQ(changed_outputs(place.path() / "twice"), changed_outputs(place.path() / "at-once"));
  EXPECT_EQ(read_file(place.path() / "twice" / "config.json"), read_file(place.path() / "at-once" / "config.json"));
}

TEST(Structure, AllLeftAlikeIsAnOrdinaryModelInItsOwnType) {
  const test::TemporaryFolder place;
  write_random(place.path() / "m", small_config(), DType::kBF16);
  Structure keep = whole_structure(small_config());
  keep.erase(keep.begin() + 1);
  for (LayerKeep& layer : keep) layer.neurons = {0, 1, 3};
  write_pruned(place.path() / "m", place.path() / "p", keep, {});
  const BertConfig pruned = load_config(ModelFiles::open(place.path() / "p"));
  EXPECT_TRUE(pruned.layers.empty() && pruned.cloze.empty());
  EXPECT_EQ(pruned.num_hidden_layers, 2);
  EXPECT_EQ(pruned.intermediate_size, 3);
  EXPECT_EQ(Weights(place.path() / "p").stored_type("bert.encoder.layer.1.output.dense.weight"), DType::kBF16);
  write_pruned(place.path() / "m", place.path() / "same", whole_structure(small_config()), {});
  EXPECT_EQ(changed_outputs(place.path() / "same"), changed_outputs(place.path() / "m"));
}

TEST(Structure, WhatIsNotOfTheModelIsRefused) {
  const BertConfig config = small_config();
  const auto refusal = [&](const Structure& keep) {
    try {
      pruned_config(config, keep);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal({}), HasSubstr("must keep a layer"));
  EXPECT_THAT(refusal({{1, {}, {}}, {1, {}, {}}}), HasSubstr("layer 1 of 3 is to be kept, after 1"));
  EXPECT_THAT(refusal({{3, {}, {}}}), HasSubstr("layer 3 of 3"));
  EXPECT_THAT(refusal({{0, {3}, {}}}), HasSubstr("the heads to keep must be numbers below 3"));
  EXPECT_THAT(refusal({{0, {}, {1, 1}}}), HasSubstr("the neurons to keep must be numbers below 5, in rising order"));
  BertConfig wide = small_config();
  wide.head_size = 8;
  wide.layers = {{1, 5}, {1, 5}, {1, 5}};
  EXPECT_THROW(dense_config(wide), Error) << "12 is no multiple of 8";
}

TEST(Structure, TensorsThatDoNotFitTheConfigAreRefused) {
  const test::TemporaryFolder place;
  write_random(place.path() / "m", small_config());
  BertConfig other = small_config();
  other.intermediate_size = 4;
  Weights weights(place.path() / "m");
  EXPECT_THROW(prune_tensors(weights, other, whole_structure(other)), Error);
  // Another width, or a vector where a matrix should be: nothing is copied by the wrong shape.
  std::vector<NamedTensor> tensors = prune_tensors(weights, small_config(), {{0, {0}, {1}}, {1, {}, {}}, {2, {}, {}}});
  const BertConfig pruned = pruned_config(small_config(), {{0, {0}, {1}}, {1, {}, {}}, {2, {}, {}}});
  for (const Shape& bad : {Shape({4, 500}), Shape({48}), Shape({500, 12})}) {
    std::ranges::find(tensors, "bert.encoder.layer.0.attention.self.query.weight", &NamedTensor::name)->tensor =
        Tensor::zeros(bad, DType::kF32);
    write_safetensors(place.path() / "bad.safetensors", tensors);
    Weights hostile(place.path() / "bad.safetensors");
    EXPECT_THROW(dense_tensors(hostile, pruned), Error) << fmt::format("{}", bad);
  }
}

}  // namespace
}  // namespace cloze
