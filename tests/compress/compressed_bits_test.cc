// What holds for whole models holds for compressed ones: a text's vectors are the same bits alone, in any batch, in any
// order and with any number of threads.
#include "cloze/compress/calibrate.h"
#include "cloze/compress/narrow.h"
#include "cloze/compress/quantize.h"
#include "cloze/compress/sparsify.h"
#include "cloze/compress/write_model.h"
#include "random_model.h"
#include "tests/model/row_bits.h"

namespace cloze {
namespace {

/// Widths that fill tiles and panels, and leave some over.
BertConfig wide_config() {
  BertConfig config = test::small_config(2, 192, 3, 100, 300);
  config.intermediate_size = 200;
  return config;
}

/// The first of each half of a layer, uneven.
Structure uneven() {
  Structure keep = whole_structure(wide_config());
  keep[0].heads = {2};
  keep[0].neurons.resize(37);
  keep[1].heads = {0, 1};
  keep[1].neurons.resize(112);
  return keep;
}

/// Of all states, and of what a pooler reads, which takes another way through the last layer.
void expect_the_same_bits(const Path& folder) {
  const BertConfig config = load_config(ModelFiles::open(folder));
  const test::Rows rows =
      test::random_rows({1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 128, 200, 300}, config.vocab_size);
  for (const auto picked : {EncoderLayer::Rows::kAll, EncoderLayer::Rows::kPicked}) {
    Bert bert(config, Pooler::kWith);
    ParameterList parameters;
    bert.collect(parameters);
    Weights weights{folder};
    load_parameters(
        weights, parameters, 0, 0, [](const std::string&) { return false; }, Compact::kKeep);
    bert.freeze(picked);
    const bool pooled = picked == EncoderLayer::Rows::kPicked;
    const auto results_of = [&](const RaggedBatch& batch) {
      return pooled ? test::pooled_of(bert, batch) : test::states_of(bert, batch);
    };
    const std::vector<std::string> alone = test::alone_on_one_thread(results_of, rows);
    test::expect_the_bits_of(alone, results_of, rows, {1, 2, 3},
                             folder.filename().string() + (pooled ? ", pooled" : ""));
  }
}

struct CompressedBits : testing::Test {
  CompressedBits() { test::write_random(path("whole"), wide_config()); }
  Path path(const std::string& name) const { return place_.path() / name; }
  void quantize(const char* from, const char* to, std::map<std::string, InputRange> inputs = {}) const {
    write_quantized(path(from), path(to),
                    {int8_parts(load_config(ModelFiles::open(path(from)))), {}, std::move(inputs)});
  }

 private:
  test::TemporaryFolder place_;
};

TEST_F(CompressedBits, OfPrunedModels) {
  write_pruned(path("whole"), path("pruned"), uneven(), {});
  expect_the_same_bits(path("pruned"));
  write_narrow(path("whole"), path("narrow"), [] {
    std::vector<int64_t> kept(101);
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = static_cast<int64_t>(i);
    return kept;
  }());
  expect_the_same_bits(path("narrow"));
}

TEST_F(CompressedBits, OfEightBits) {
  quantize("whole", "int8");
  expect_the_same_bits(path("int8"));
  std::map<std::string, InputRange> inputs;
  for (const char* name : {"query", "key", "value"})
    inputs[fmt::format("bert.encoder.layer.0.attention.self.{}.weight", name)] = {-3, 3};
  inputs["bert.encoder.layer.1.output.dense.weight"] = {-0.2f, 2};
  quantize("whole", "measured", inputs);
  expect_the_same_bits(path("measured"));
  write_pruned(path("whole"), path("pruned"), uneven(), {});
  quantize("pruned", "both");
  expect_the_same_bits(path("both"));
}

TEST_F(CompressedBits, OfZeros) {
  write_sparse(path("whole"), path("single"), 0.95);
  expect_the_same_bits(path("single"));
  write_sparse(path("whole"), path("blocks"), 0.9, {}, ZeroPattern::kBlocks);
  expect_the_same_bits(path("blocks"));
}

}  // namespace
}  // namespace cloze
