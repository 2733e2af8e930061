#include "cloze/compress/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cloze/base/error.h"
#include "cloze/compress/quantize.h"
#include "cloze/text/tokenizer.h"
#include "cloze/transfer/feature_cache.h"
#include "cloze/transfer/frozen_encoder.h"
#include "random_model.h"

namespace cloze {
namespace {

Path make_model(const test::TemporaryFolder& dir) {
  test::write_random(dir.path() / "a", test::small_config());
  dir.write("a/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nx\ny\nz\nu\nv\nw\n");
  return dir.path() / "a";
}

TextExample text(const std::string& words) {
  TextExample example;
  example.text = words;
  return example;
}

TEST(Calibrate, MeasuresWhatEachProductIsGiven) {
  const test::TemporaryFolder dir;
  const Path model = make_model(dir);
  const std::vector<TextExample> rows = {text("x y"), text("z"), text("w v u x y z w v u x")};
  int64_t heard = 0;
  const Calibration found = measure_inputs(model, rows, [&](int64_t done, int64_t all) {
    heard = done;
    EXPECT_EQ(all, 3);
  });
  EXPECT_EQ(heard, 3);
  EXPECT_EQ(found.tokens, 4 + 3 + 8) << "the last is cut";
  EXPECT_EQ(found.ranges.size(), 18U);
  // Queries, keys and values read the hidden states of the layer below.
  const NoGrad no_grad;
  ForwardContext context;
  Bert bert(test::small_config(), Pooler::kWithout);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{model};
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  const RaggedBatch batch = make_ragged_batch({{2, 5, 6, 3}, {2, 7, 3}, {2, 10, 9, 8, 5, 6, 7, 3}}, {});
  bert.visit_layers(batch, context, 2, [&](int64_t layer, const Var& hidden) {
    InputRange expected;
    expected.cover(hidden.value());
    for (const char* part : {"query", "key", "value"}) {
      const InputRange& range =
          found.ranges.at(fmt::format("bert.encoder.layer.{}.attention.self.{}.weight", layer, part));
      EXPECT_EQ(range.lo, expected.lo);
      EXPECT_EQ(range.hi, expected.hi);
    }
  });
  const InputRange& wide = found.ranges.at("bert.encoder.layer.1.output.dense.weight");
  EXPECT_NEAR(wide.lo, -0.1, 0.08) << "GELU is never below -0.17";
  EXPECT_GT(wide.hi, 0);
}

TEST(Calibrate, NumbersThatAreNotFiniteGiveNoRange) {
  InputRange range;
  range.cover(Tensor::of<float>({2}, std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}));
  range.cover(Tensor::of<float>({1}, std::vector<float>{2}));
  EXPECT_FALSE(std::isfinite(range.hi - range.lo));
  // Values so large that the outputs of the layer's first product are beyond what floats hold.
  const test::TemporaryFolder dir;
  const Path model = make_model(dir);
  Weights weights{model};
  std::vector<NamedTensor> tensors;
  for (const std::string& name : weights.names()) {
    const Tensor value = weights.get(name, *weights.shape_of(name));
    const bool huge = name.find("layer.0.attention.self.value.weight") != std::string::npos;
    tensors.push_back(
        {name, huge ? Tensor::of<float>(value.shape(), std::vector<float>(value.elements(), 3e38f)) : value});
  }
  write_safetensors(model / "model.safetensors", tensors);
  EXPECT_THROW(measure_inputs(model, std::vector{text("x y")}, {}), Error);
}

TEST(Calibrate, VectorsByOtherScalesAreCachedApart) {
  const test::TemporaryFolder dir;
  const Path model = make_model(dir);
  QuantizeOptions options{int8_parts(test::small_config()), {}};
  write_quantized(model, dir.path() / "free", options);
  options.inputs = measure_inputs(model, std::vector{text("x y")}, {}).ranges;
  write_quantized(model, dir.path() / "fixed", options);
  options.inputs = measure_inputs(model, std::vector{text("w v u")}, {}).ranges;
  write_quantized(model, dir.path() / "otherwise", options);
  const Poolings mean = parse_poolings("mean");
  const auto key = [&](const char* name) {
    return encoder_key(*load_frozen_encoder(ModelFiles::open(dir.path() / name), mean, {}), mean);
  };
  const uint64_t free = key("free"), fixed = key("fixed"), otherwise = key("otherwise");
  EXPECT_NE(free, fixed);
  EXPECT_NE(fixed, otherwise);
  EXPECT_EQ(fixed, key("fixed"));
}

TEST(Calibrate, OneRowWillDoAndNoneWillNot) {
  const test::TemporaryFolder dir;
  const Path model = make_model(dir);
  EXPECT_EQ(measure_inputs(model, std::vector{text("x")}, {}).tokens, 3);
  EXPECT_THROW(measure_inputs(model, {}, {}), Error);
}

}  // namespace
}  // namespace cloze
