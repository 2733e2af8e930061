// Stored 8 bits: they compute what the 8-bit product of the floats computes, and pass through files to the bit.
#include "cloze/compress/quantize.h"

#include <gmock/gmock.h>

#include <cmath>

#include "cloze/base/error.h"
#include "cloze/compress/measure_models.h"
#include "cloze/compress/narrow.h"
#include "cloze/compress/sparsify.h"
#include "cloze/compress/write_model.h"
#include "random_model.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using test::write_random;

/// Layers that lack a half.
BertConfig pruned_config() {
  BertConfig config = test::small_config();
  config.head_size = 4;
  config.layers = {{3, 20}, {0, 7}, {2, 0}};
  return config;
}

struct Loaded {
  Bert bert;
  ParameterList parameters;
};
std::unique_ptr<Loaded> load(const Path& folder, Compact bits, Precision precision) {
  const BertConfig config = load_config(ModelFiles::open(folder));
  auto loaded = std::make_unique<Loaded>(Loaded{Bert(config, Pooler::kWith), {}});
  loaded->bert.collect(loaded->parameters);
  Weights weights{folder};
  load_parameters(
      weights, loaded->parameters, 0, 0, [](const std::string&) { return false; }, bits);
  EXPECT_TRUE(weights.unused().empty());
  loaded->bert.freeze(EncoderLayer::Rows::kAll, precision);
  return loaded;
}

std::vector<float> quantized_outputs(const Path& folder, Compact bits, Precision precision) {
  const NoGrad no_grad;
  ForwardContext context;
  const auto loaded = load(folder, bits, precision);
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}, {4, 10, 6, 7, 8}}, {});
  const Var hidden = loaded->bert.forward(batch, context);
  const auto values = hidden.value().values<float>();
  return {values.begin(), values.end()};
}

double largest_gap(const std::vector<float>& a, const std::vector<float>& b) {
  double gap = 0;
  for (size_t i = 0; i < a.size(); ++i)
    gap = std::max(gap, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return gap;
}

TEST(Quantize, PartsAreTheHalvesThatThereAre) {
  EXPECT_THAT(int8_parts(pruned_config()),
              ElementsAre("embeddings", "layer.0.attention", "layer.0.ffn", "layer.1.ffn", "layer.2.attention"));
  try {
    check_parts({"layer.0.fnn"}, int8_parts(pruned_config()));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("did you mean layer.0.ffn?"));
  }
}

TEST(Quantize, StoredBitsComputeWhatTheRoundedFloatsDo) {
  const test::TemporaryFolder dir;
  const BertConfig config = pruned_config();
  write_random(dir.path() / "a", config);
  write_quantized(dir.path() / "a", dir.path() / "q", {int8_parts(config), {}});
  Weights weights{dir.path() / "q"};
  int count = 0;
  for (const std::string& name : weights.names())
    if (weights.is_int8(name)) ++count;
  EXPECT_EQ(count, 1 + 4 + 2 + 2 + 4) << "embeddings, and six products a layer less what was pruned";
  const auto kept = quantized_outputs(dir.path() / "q", Compact::kKeep, Precision::kF32);
  const auto expanded = quantized_outputs(dir.path() / "q", Compact::kExpand, Precision::kInt8);
  const auto whole = quantized_outputs(dir.path() / "a", Compact::kKeep, Precision::kF32);
  EXPECT_LT(largest_gap(kept, expanded), 1e-5) << "8 bits made of the expanded floats are the same";
  EXPECT_GT(largest_gap(kept, whole), 1e-4) << "they are rounded";
  EXPECT_LT(largest_gap(kept, whole), 0.3);
  const auto loaded = load(dir.path() / "q", Compact::kKeep, Precision::kF32);
  for (const Parameter* parameter : loaded->parameters)
    EXPECT_EQ(parameter->compact != nullptr, weights.is_int8(parameter->name)) << parameter->name;
}

TEST(Quantize, FloatsAreWithinHalfAStepAndTwiceIsOnce) {
  const test::TemporaryFolder dir;
  const BertConfig config = pruned_config();
  write_random(dir.path() / "a", config);
  write_quantized(dir.path() / "a", dir.path() / "q", {int8_parts(config), {}});
  write_quantized(dir.path() / "q", dir.path() / "again", {int8_parts(config), {}});
  EXPECT_EQ(read_file(dir.path() / "q" / "model.safetensors"), read_file(dir.path() / "again" / "model.safetensors"));
  write_quantized(dir.path() / "q", dir.path() / "floats", {{}, DType::kF32});
  Weights before{dir.path() / "a"}, after{dir.path() / "floats"}, stored{dir.path() / "q"};
  for (const std::string& name : before.names()) {
    const Shape shape = *before.shape_of(name);
    const Tensor a = before.get(name, shape), b = after.get(name, shape);
    const int64_t columns = shape[shape.rank() - 1];
    for (int64_t i = 0; i < a.elements(); ++i) {
      const float scale = stored.is_int8(name) ? stored.get_int8(name, shape).scales.data<float>()[i / columns] : 0.0f;
      EXPECT_LE(std::abs(a.data<float>()[i] - b.data<float>()[i]), scale * 0.5001f) << name;
    }
  }
  const auto kNote = "quantization_config";
  EXPECT_EQ(ModelFiles::open(dir.path() / "q").read_json()[kNote]["quant_method"], "cloze");
  EXPECT_FALSE(ModelFiles::open(dir.path() / "floats").read_json().contains(kNote));
}

TEST(Quantize, WhatIsInEightBitsStaysSoWhenPartsGo) {
  const test::TemporaryFolder dir;
  const BertConfig config = test::small_config();
  write_random(dir.path() / "a", config);
  std::vector<std::string> parts = int8_parts(config);
  std::erase(parts, "layer.1.ffn");
  write_quantized(dir.path() / "a", dir.path() / "q", {parts, {}});
  EXPECT_EQ(stored_form(dir.path() / "q").int8, parts);
  EXPECT_EQ(stored_form(dir.path() / "q").floats, DType::kF32);
  EXPECT_THAT(stored_form(dir.path() / "a").int8, testing::IsEmpty());

  // Layer 0 goes, so that layer 1 is layer 0 then; a head and two neurons of it go too.
  const Structure keep = {{1, {0, 2}, {0, 1, 4}}, whole_structure(config)[2]};
  write_pruned(dir.path() / "q", dir.path() / "pruned", keep, {});
  EXPECT_EQ(stored_form(dir.path() / "pruned").int8,
            (std::vector<std::string>{"embeddings", "layer.0.attention", "layer.1.attention", "layer.1.ffn"}));
  EXPECT_TRUE(ModelFiles::open(dir.path() / "pruned").read_json().contains("quantization_config"));

  // It is the pruned model of the rounded floats, rounded once more at most.
  write_quantized(dir.path() / "q", dir.path() / "floats", {{}, DType::kF32});
  write_pruned(dir.path() / "floats", dir.path() / "expected", keep, {});
  Weights found{dir.path() / "pruned"}, expected{dir.path() / "expected"};
  for (const std::string& name : expected.names()) {
    const Shape shape = *expected.shape_of(name);
    const Tensor a = expected.get(name, shape), b = found.get(name, shape);
    for (int64_t i = 0; i < a.elements(); ++i)
      EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], found.is_int8(name) ? 0.01 : 0) << name;
  }
  write_narrow(dir.path() / "q", dir.path() / "narrow", {0, 1, 2, 5, 7, 9});
  EXPECT_EQ(stored_form(dir.path() / "narrow").int8, parts);
}

TEST(Quantize, PlainFloatsHaveTheirZerosAgain) {
  const test::TemporaryFolder dir;
  write_random(dir.path() / "a", pruned_config());
  write_sparse(dir.path() / "a", dir.path() / "s", 0.75);
  write_quantized(dir.path() / "s", dir.path() / "same", {{}, {}});
  write_quantized(dir.path() / "s", dir.path() / "floats", {{}, DType::kF32});
  EXPECT_TRUE(stores_sparse(Weights{dir.path() / "same"}));
  EXPECT_FALSE(stores_sparse(Weights{dir.path() / "floats"})) << "other readers know no other floats";
  EXPECT_FALSE(ModelFiles::open(dir.path() / "floats").read_json().contains("quantization_config"));
  EXPECT_EQ(sparsity_of(dir.path() / "floats"), sparsity_of(dir.path() / "s"));
}

TEST(Quantize, FixedInputsPassThroughFilesToTheBit) {
  const test::TemporaryFolder dir;
  const auto path = [&](const char* name) { return dir.path() / name; };
  const BertConfig config = pruned_config();
  write_random(path("a"), config);
  QuantizeOptions options{int8_parts(config), {}};
  write_quantized(path("a"), path("free"), options);
  const std::string up = "bert.encoder.layer.0.intermediate.dense.weight";
  options.inputs[up] = {-0.5F, 0.75F};
  write_quantized(path("a"), path("q"), options);
  write_quantized(path("q"), path("again"), {int8_parts(config), {}});
  EXPECT_TRUE(read_file(path("q") / "model.safetensors") == read_file(path("again") / "model.safetensors"));
  const auto loaded = load(path("q"), Compact::kKeep, Precision::kF32);
  for (const Parameter* parameter : loaded->parameters) {
    const auto* weight = dynamic_cast<const Int8Weight*>(parameter->compact.get());
    ASSERT_TRUE(weight == nullptr || weight->inputs.has_value() == (parameter->name == up)) << parameter->name;
    EXPECT_TRUE(parameter->name != up || weight->inputs == row_scale(-0.5F, 0.75F));
  }
  const auto q = quantized_outputs(path("q"), Compact::kKeep, Precision::kF32);
  EXPECT_NE(q, quantized_outputs(path("free"), Compact::kKeep, Precision::kF32));
  // What a model that was loaded writes again is the same.
  const ModelFiles files = ModelFiles::create(path("saved"));
  files.write_json(ModelFiles::kConfig, config_json(config, loaded->parameters));
  save_parameters(files, loaded->parameters);
  EXPECT_EQ(quantized_outputs(path("saved"), Compact::kKeep, Precision::kF32), q);
}

/// Scales in a shard of their own are neither left behind nor copied as they were.
TEST(Quantize, ShardsThatHoldPartsAloneAreReadAndNotCopied) {
  const test::TemporaryFolder dir;
  const BertConfig config = pruned_config();
  write_random(dir.path() / "a", config);
  write_quantized(dir.path() / "a", dir.path() / "q", {int8_parts(config), {}});
  const Path folder = dir.path() / "q";
  const SafetensorsFile file(folder / "model.safetensors");
  std::vector<NamedTensor> weights, scales;
  Json map = Json::object();
  for (const StoredTensor& stored : file.tensors()) {
    const bool is_scale = stored.name.ends_with("_scale");
    (is_scale ? scales : weights).push_back({stored.name, file.tensor(stored)});
    map[stored.name] = is_scale ? "scales.safetensors" : "weights.safetensors";
  }
  write_safetensors(folder / "weights.safetensors", weights);
  write_safetensors(folder / "scales.safetensors", scales);
  write_file(folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  std::filesystem::remove(folder / "model.safetensors");
  const auto bytes = [&](const char* name) { return static_cast<int64_t>(std::filesystem::file_size(folder / name)); };
  EXPECT_EQ(model_size(folder).bytes, bytes("weights.safetensors") + bytes("scales.safetensors"));
  write_quantized(folder, dir.path() / "again", {int8_parts(config), {}});
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "again" / "scales.safetensors"));
  EXPECT_EQ(quantized_outputs(dir.path() / "again", Compact::kKeep, Precision::kF32),
            quantized_outputs(folder, Compact::kKeep, Precision::kF32));
}

TEST(Quantize, WhatIsLeftOutStaysToTheBit) {
  const test::TemporaryFolder dir;
  write_random(dir.path() / "a", pruned_config());
  write_quantized(dir.path() / "a", dir.path() / "q", {{"layer.0.ffn"}, DType::kF16});
  Weights before{dir.path() / "a"}, after{dir.path() / "q"};
  EXPECT_EQ(after.stored_type("bert.pooler.dense.weight"), DType::kF16);
  EXPECT_TRUE(after.is_int8("bert.encoder.layer.0.output.dense.weight"));
  EXPECT_FALSE(after.is_int8("bert.encoder.layer.1.output.dense.weight"));
  EXPECT_LT(largest_gap(quantized_outputs(dir.path() / "q", Compact::kKeep, Precision::kF32),
                        quantized_outputs(dir.path() / "a", Compact::kKeep, Precision::kF32)),
            0.1);
  write_quantized(dir.path() / "a", dir.path() / "same", {{}, {}});
  EXPECT_EQ(quantized_outputs(dir.path() / "same", Compact::kKeep, Precision::kF32),
            quantized_outputs(dir.path() / "a", Compact::kKeep, Precision::kF32));
}

}  // namespace
}  // namespace cloze
