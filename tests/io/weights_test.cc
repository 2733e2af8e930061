#include "cloze/io/weights.h"

#include <limits>

#include "io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Tensor row(std::vector<float> values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

void save(const TempDir& dir, const std::vector<NamedTensor>& tensors, std::string_view file = "model.safetensors") {
  write_safetensors(dir / file, tensors);
}

TEST(CanonicalBertName, TableOfSpellings) {
  const std::pair<const char*, const char*> kRows[] = {
      {"bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0.attention.self.query.weight"},
      {"encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0.attention.self.query.weight"},
      {"embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight"},
      {"pooler.dense.bias", "bert.pooler.dense.bias"},
      {"module.pooler.dense.bias", "bert.pooler.dense.bias"},
      {"module.bert.pooler.dense.bias", "bert.pooler.dense.bias"},
      {"module.classifier.weight", "classifier.weight"},
      {"module.module.classifier.weight", "classifier.weight"},
      {"embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"},
      {"bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"},
      {"cls.predictions.transform.LayerNorm.gamma", "cls.predictions.transform.LayerNorm.weight"},
      {"classifier.weight", "classifier.weight"},
      {"qa_outputs.bias", "qa_outputs.bias"},
      {"cls.seq_relationship.weight", "cls.seq_relationship.weight"},
      {"my.gamma", "my.gamma"},
      {"encoder", "encoder"},
      {"", ""},
  };
  for (const auto& [spelled, canonical] : kRows) {
    EXPECT_EQ(canonical_bert_name(spelled), canonical);
    EXPECT_EQ(canonical_bert_name(canonical), canonical) << "canonical names stay";
  }
}

TEST(Weights, NamesFindEachOtherWithAndWithoutPrefix) {
  const TempDir dir;
  save(dir, {{"embeddings.LayerNorm.gamma", row({1})},
             {"module.bert.pooler.dense.bias", row({2})},
             {"classifier.bias", row({3})}});
  Weights weights(dir.path());
  EXPECT_THAT(weights.get("bert.embeddings.LayerNorm.weight", {1}).values<float>(), ElementsAre(1));
  EXPECT_THAT(weights.get("embeddings.LayerNorm.weight", {1}).values<float>(), ElementsAre(1));
  EXPECT_THAT(weights.get("bert.pooler.dense.bias", {1}).values<float>(), ElementsAre(2));
  EXPECT_THAT(weights.get("classifier.bias", {1}).values<float>(), ElementsAre(3));
  EXPECT_FALSE(weights.has("bert.classifier.bias"));
  EXPECT_THAT(weights.names(),
              ElementsAre("embeddings.LayerNorm.gamma", "module.bert.pooler.dense.bias", "classifier.bias"));
}

TEST(Weights, TwoSpellingsOfOneNameAreRefused) {
  const TempDir dir;
  save(dir, {{"pooler.dense.bias", row({1})}, {"bert.pooler.dense.bias", row({2})}});
  expect_error(ErrorCode::kFormat,
               {"model.safetensors: tensors \"pooler.dense.bias\" and \"bert.pooler.dense.bias\" are two spellings of "
                "\"bert.pooler.dense.bias\""},
               [&] { Weights weights(dir.path()); });
}

TEST(Weights, FloatsComeAsF32MappedIfTheyAre) {
  const TempDir dir;
  const Tensor half(Shape({2}), DType::kF16);
  half.data<uint16_t>()[0] = 0x3C00;
  half.data<uint16_t>()[1] = 0xC000;
  save(dir, {{"f64", Tensor::of<double>({1}, {0.5})},
             {"f32", row({1, 2})},
             {"f16", half},
             {"bf16", Tensor::of<uint16_t>({1}, {0x4000})},
             {"i64", Tensor::of<int64_t>({1}, {7})}});
  Weights weights(dir.path());
  EXPECT_THAT(weights.get("f64", {1}).values<float>(), ElementsAre(0.5f));
  EXPECT_THAT(weights.get("f16", {2}).values<float>(), ElementsAre(1.0f, -2.0f));
  EXPECT_THAT(weights.get("bf16", {1}).values<float>(), ElementsAre(2.0f));
  EXPECT_EQ(weights.get("f32", {2}).raw(), weights.get("f32", {2}).raw()) << "f32 is not copied";
  EXPECT_THAT(weights.find("i64")->values<int64_t>(), ElementsAre(7));
  expect_error(ErrorCode::kUnsupported, {"model.safetensors: tensor \"i64\" has dtype I64, expected floats"},
               [&] { (void)weights.get("i64", {1}); });
}

TEST(Weights, ErrorsNameFileTensorAndBothShapes) {
  const TempDir dir;
  save(dir, {{"pooler.dense.weight", Tensor::zeros({2, 3}, DType::kF32)}});
  Weights weights(dir.path());
  expect_error(ErrorCode::kShape,
               {"model.safetensors: tensor \"pooler.dense.weight\" has shape [2, 3], expected [3, 2]"}, [&] {
                 (void)weights.get("bert.pooler.dense.weight", {3, 2});
               });
  EXPECT_THAT(weights.unused(), ElementsAre("pooler.dense.weight")) << "a refused tensor is not a read one";
  expect_error(ErrorCode::kNotFound,
               {"model.safetensors: no tensor \"bert.pooler.dense.bias\" (expected shape [3]) among its 1"},
               [&] { (void)weights.get("bert.pooler.dense.bias", {3}); });
  EXPECT_FALSE(weights.find("bert.pooler.dense.bias").has_value());
}

TEST(Weights, ShapeOfDoesNotCountAsReading) {
  const TempDir dir;
  save(dir, {{"classifier.weight", Tensor::zeros({2, 3}, DType::kF32)}});
  const Weights weights(dir.path());
  EXPECT_EQ(weights.shape_of("classifier.weight"), Shape({2, 3}));
  EXPECT_FALSE(weights.shape_of("classifier.bias").has_value());
  EXPECT_THAT(weights.unused(), ElementsAre("classifier.weight"));
}

TEST(Weights, ReportsWhatWasReadLeftAndHarmless) {
  const TempDir dir;
  save(dir, {{"bert.embeddings.position_ids", Tensor::of<int64_t>({1}, {0})},
             {"embeddings.token_type_ids", Tensor::of<int64_t>({1}, {0})},
             {"cls.predictions.decoder.weight", row({1})},
             {"module.cls.predictions.decoder.bias", row({1})},
             {"cls.predictions.bias", row({1})},
             {"classifier.bias", row({1})},
             {"fixture", row({1})}});
  Weights weights(dir.path());
  (void)weights.get("classifier.bias", {1});
  EXPECT_THAT(weights.unused(), ElementsAre("cls.predictions.bias", "fixture"));
  EXPECT_THAT(weights.ignored(), ElementsAre("bert.embeddings.position_ids", "embeddings.token_type_ids",
                                             "cls.predictions.decoder.weight", "module.cls.predictions.decoder.bias"));
  EXPECT_THAT(weights.report().read, ElementsAre("classifier.bias"));
  (void)weights.find("cls.predictions.decoder.weight");
  EXPECT_THAT(weights.report().read, ElementsAre("cls.predictions.decoder.weight", "classifier.bias"))
      << "whoever asks for a redundant tensor has read it";
}

TEST(Weights, OpensOneFile) {
  const TempDir dir;
  save(dir, {{"a", row({4})}}, "other.safetensors");
  Weights weights(dir / "other.safetensors");
  EXPECT_THAT(weights.get("a", {1}).values<float>(), ElementsAre(4));
  EXPECT_EQ(weights.source(), dir / "other.safetensors");
}

class ShardedWeights : public ::testing::Test {
 protected:
  void index(std::string_view map) {
    write_file(dir_ / "model.safetensors.index.json", fmt::format(R"({{"metadata":{{}},"weight_map":{}}})", map));
  }
  TempDir dir_;
};

TEST_F(ShardedWeights, ReadsAllFiles) {
  save(dir_, {{"bert.pooler.dense.bias", row({1})}, {"stray", row({0})}}, "model-00001-of-00002.safetensors");
  save(dir_, {{"classifier.bias", row({2, 3})}}, "model-00002-of-00002.safetensors");
  index(
      R"({"bert.pooler.dense.bias":"model-00001-of-00002.safetensors","classifier.bias":"model-00002-of-00002.safetensors"})");
  Weights weights(dir_.path());
  EXPECT_THAT(weights.get("pooler.dense.bias", {1}).values<float>(), ElementsAre(1));
  EXPECT_THAT(weights.get("classifier.bias", {2}).values<float>(), ElementsAre(2, 3));
  EXPECT_EQ(weights.file_of("classifier.bias"), dir_ / "model-00002-of-00002.safetensors");
  EXPECT_EQ(weights.file_of("none"), dir_ / "model.safetensors.index.json");
  EXPECT_THAT(weights.unused(), ElementsAre("stray")) << "what the index does not list is not passed over silently";
  expect_error(ErrorCode::kShape, {"model-00002-of-00002.safetensors: tensor \"classifier.bias\""},
               [&] { (void)weights.get("classifier.bias", {1}); });
}

TEST_F(ShardedWeights, RefusesAnIndexThatTheFilesDoNotBearOut) {
  save(dir_, {{"a", row({1})}}, "1.safetensors");
  save(dir_, {{"module.a", row({1})}}, "2.safetensors");
  index(R"({"a":"1.safetensors","b":"1.safetensors"})");
  expect_error(ErrorCode::kFormat,
               {"index.json: tensor \"b\" is said to be in \"1.safetensors\", which does not hold it"},
               [&] { Weights weights(dir_.path()); });
  index(R"({"a":"3.safetensors"})");
  expect_error(ErrorCode::kNotFound,
               {"index.json: the file \"3.safetensors\" that it names (for tensor \"a\") is not there"},
               [&] { Weights weights(dir_.path()); });
  index(fmt::format(R"({{"a":"{}"}})", std::string(5000, 'n')));
  expect_error(ErrorCode::kNotFound, {"nnn...nnn"}, [&] { Weights weights(dir_.path()); });
  index(R"({"a":"../1.safetensors"})");
  expect_error(ErrorCode::kFormat, {"not a plain file name"}, [&] { Weights weights(dir_.path()); });
  index(R"({"a":"1.safetensors","module.a":"2.safetensors"})");
  expect_error(ErrorCode::kFormat, {"tensors \"a\" and \"module.a\" are two spellings of \"a\""},
               [&] { Weights weights(dir_.path()); });
}

TEST_F(ShardedWeights, TheSingleFileWinsOverTheIndex) {
  save(dir_, {{"a", row({1})}});
  index(R"({"b":"none.safetensors"})");
  EXPECT_TRUE(Weights(dir_.path()).has("a"));
}

TEST(Weights, SaysWhatWasLookedForAndWhatLiesThere) {
  const TempDir dir;
  write_file(dir / "config.json", "{}");
  expect_error(
      ErrorCode::kNotFound,
      {"no weights in", "looked for model.safetensors and model.safetensors.index.json; the folder holds config.json"},
      [&] { Weights weights(dir.path()); });
  write_file(dir / "pytorch_model.bin", "");
  expect_error(ErrorCode::kNotFound,
               {"it has pytorch_model.bin, a format that Cloze does not read yet: convert it to safetensors"},
               [&] { Weights weights(dir.path()); });
  std::filesystem::remove(dir / "pytorch_model.bin");
  write_file(dir / "bert_model.ckpt.index", "");
  expect_error(ErrorCode::kNotFound, {"it has bert_model.ckpt.index, a format"}, [&] { Weights weights(dir.path()); });
}

TEST(LoadReport, TextShortensLayersAndLongLists) {
  LoadReport report;
  for (int layer = 0; layer < 12; ++layer)
    report.unused.push_back(fmt::format("bert.encoder.layer.{}.output.dense.bias", layer));
  report.unused.push_back("fixture.A");
  report.read = {"a"};
  report.initialised = {"classifier.weight", "classifier.bias"};
  report.ignored = {"embeddings.position_ids"};
  EXPECT_EQ(
      report.text(),
      "1 tensor read. 2 initialised anew, not in the file: classifier.weight, classifier.bias. 13 in the file but not "
      "used: bert.encoder.layer.*.output.dense.bias (12), fixture.A. 1 left out because the model does not need them: "
      "embeddings.position_ids.");
  EXPECT_EQ(LoadReport{}.text(), "0 tensors read.");
  EXPECT_EQ(shorten_names({"a", "b", "x.1", "x.2", "c"}, 2), "a, b and 3 more");
  EXPECT_EQ(shorten_names({"l.1.w", "l.10.w", "l.1a.w"}), "l.*.w (2), l.1a.w");
}

TEST(LoadReport, JsonHoldsAllNames) {
  const LoadReport report{.read = {"r"}, .initialised = {}, .unused = {"u", "v"}, .ignored = {"i"}};
  EXPECT_EQ(report.json().dump(), R"({"read":["r"],"initialised":[],"unused":["u","v"],"ignored":["i"]})");
}

TEST(CheckFinite, CountsAndNamesTheFirst) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values(60, 3e38f);
  EXPECT_NO_THROW(check_finite(Tensor::of({6, 10}, values), "w", "f"));
  values[23] = kInf;
  values[41] = kNan;
  values[59] = -kInf;
  expect_error(ErrorCode::kValue,
               {"m.safetensors: tensor \"w\" of shape [6, 10] holds 1 NaN and 2 infinite values, the first at [2, 3]"},
               [&] {
                 check_finite(Tensor::of({6, 10}, values), "w", "m.safetensors");
               });
}

TEST(CheckFinite, FindsASingleOneAtEveryPlaceAndInEveryFloatType) {
  for (size_t at = 0; at < 37; ++at) {
    std::vector<float> values(37, -1.0f);
    values[at] = -std::numeric_limits<float>::infinity();
    expect_error(ErrorCode::kValue, {fmt::format("the first at [{}]", at)},
                 [&] { check_finite(row(values), "w", "f"); });
  }
  expect_error(ErrorCode::kValue, {"1 NaN"},
               [] { check_finite(Tensor::of<double>({}, {std::numeric_limits<double>::quiet_NaN()}), "w", "f"); });
  expect_error(ErrorCode::kValue, {"1 infinite"}, [] { check_finite(Tensor::of<uint16_t>({1}, {0x7F80}), "w", "f"); });
  EXPECT_NO_THROW(check_finite(Tensor::of<int64_t>({1}, {-1}), "w", "f"));
  EXPECT_NO_THROW(check_finite(Tensor(Shape({0}), DType::kF32), "w", "f"));
}

Tensor bytes(Shape shape, std::vector<int8_t> values) {
  return Tensor::of<int8_t>(shape, values);
}

TEST(Weights, EightBitsComeAsFloatsWithTheirScales) {
  for (const Shape& scales : {Shape({2, 1}), Shape({2})}) {
    const TempDir dir;
    save(dir, {{"bert.pooler.dense.weight", bytes({2, 3}, {1, -127, 0, 4, 5, -128})},
               {"bert.pooler.dense.weight_scale", Tensor::of<float>(scales, std::vector<float>{0.5, 2})},
               {"lonely.weight_scale", row({1})}});
    Weights weights(dir.path());
    EXPECT_TRUE(weights.is_int8("pooler.dense.weight"));
    EXPECT_FALSE(weights.is_int8("lonely.weight_scale"));
    EXPECT_THAT(weights.names(), ElementsAre("bert.pooler.dense.weight", "lonely.weight_scale"));
    EXPECT_THAT(weights.get("bert.pooler.dense.weight", {2, 3}).values<float>(),
                ElementsAre(0.5, -63.5, 0, 8, 10, -256));
    EXPECT_THAT(weights.unused(), ElementsAre("lonely.weight_scale")) << "both of a pair count as read";
    const StoredInt8 stored = weights.get_int8("pooler.dense.weight", {2, 3});
    EXPECT_THAT(stored.values.values<int8_t>(), ElementsAre(1, -127, 0, 4, 5, -128));
    EXPECT_THAT(stored.scales.values<float>(), ElementsAre(0.5, 2));
    expect_error(ErrorCode::kUnsupported, {"is no weight of 8 bits"},
                 [&] { (void)weights.get_int8("lonely.weight_scale", {1}); });
    expect_error(ErrorCode::kShape, {"has shape [2, 3], expected"}, [&] {
      (void)weights.get("bert.pooler.dense.weight", {3, 2});
    });
  }
}

TEST(Weights, EightBitsMayBringTheScaleOfTheirInputs) {
  const Tensor q = bytes({2, 1}, {1, 2});
  const auto found = [&](std::vector<NamedTensor> more) {
    const TempDir dir;
    more.insert(more.end(), {{"x.weight", q}, {"x.weight_scale", row({1, 1})}});
    save(dir, more);
    Weights weights(dir.path());
    EXPECT_THAT(weights.names(), ElementsAre("x.weight"));
    const std::optional<StoredInputs> inputs = weights.get_int8("x.weight", {2, 1}).inputs;
    EXPECT_TRUE(weights.unused().empty());
    return inputs;
  };
  EXPECT_FALSE(found({}).has_value());
  const auto both = found({{"x.input_scale", row({0.5})}, {"x.input_zero_point", bytes({1}, {-3})}});
  EXPECT_EQ(both->scale, 0.5F);
  EXPECT_EQ(both->zero, -3);
  EXPECT_EQ(found({{"x.input_scale", row({2})}})->zero, 0);
  const auto refused = [&](const std::vector<NamedTensor>& more, ErrorCode code, const std::string& text) {
    expect_error(code, {text}, [&] { (void)found(more); });
  };
  refused({{"x.input_scale", row({-1})}}, ErrorCode::kValue, "\"x.input_scale\" holds -1");
  refused({{"x.input_scale", row({1, 1})}}, ErrorCode::kFormat, "of shape [2], expected one float");
  refused({{"x.input_scale", bytes({1}, {1})}}, ErrorCode::kFormat, "is I8 of shape [1], expected one float");
  refused({{"x.input_scale", row({1})}, {"x.input_zero_point", row({1})}}, ErrorCode::kFormat, "expected one I8");
}

TEST(Weights, EightBitsWithoutGoodScalesAreRefused) {
  const auto refused = [](const std::vector<NamedTensor>& tensors, ErrorCode code, const std::string& text) {
    const TempDir dir;
    save(dir, tensors);
    Weights weights(dir.path());
    expect_error(code, {text}, [&] { (void)weights.get("x.weight", {2, 1}); });
  };
  const Tensor q = bytes({2, 1}, {1, 2});
  refused({{"x.weight", q}}, ErrorCode::kUnsupported, "or I8 with \"x.weight_scale\"");
  refused({{"x.weight", q}, {"x.weight_scale", row({1})}}, ErrorCode::kShape, "expected [2, 1]: one for each row");
  refused({{"x.weight", q}, {"x.weight_scale", Tensor::of<float>({2, 2}, std::vector<float>(4, 1))}}, ErrorCode::kShape,
          "expected [2, 1]");
  refused({{"x.weight", q}, {"x.weight_scale", row({1, -1})}}, ErrorCode::kValue, "holds -1");
  refused({{"x.weight", q}, {"x.weight_scale", row({1, std::numeric_limits<float>::quiet_NaN()})}}, ErrorCode::kValue,
          "holds nan");
  refused({{"x.weight", q}, {"x.weight_scale", bytes({2}, {1, 1})}}, ErrorCode::kUnsupported, "has dtype I8");
  const TempDir dir;
  save(dir, {{"x.weight", bytes({2}, {1, 2})}, {"x.weight_scale", row({1, 1})}});
  Weights weights(dir.path());
  expect_error(ErrorCode::kUnsupported, {"8 bits are for [M,K] alone"}, [&] { (void)weights.find("x.weight"); });
}

/// Row 0: 1.5 at 0 and -2 at 9; row 1: nothing; row 2: 3 at 8.
std::vector<NamedTensor> sparse_parts() {
  return {{"pooler.dense.weight.compressed", row({1.5, -2, 3})},
          {"pooler.dense.weight.bitmask", Tensor::of<uint8_t>({3, 2}, std::vector<uint8_t>{1, 2, 0, 0, 0, 1})},
          {"pooler.dense.weight.shape", Tensor::of<int64_t>({2}, {3, 10})},
          {"pooler.dense.weight.row_offsets", Tensor::of<int64_t>({3}, {0, 2, 2})}};
}

TEST(Weights, WithoutZerosComeWithThem) {
  for (const DType type : {DType::kF32, DType::kF16}) {
    const TempDir dir;
    std::vector<NamedTensor> parts = sparse_parts();
    if (type == DType::kF16) parts[0].tensor = to_half(parts[0].tensor, type);
    parts.push_back({"other.weight", row({1})});
    save(dir, parts);
    Weights weights(dir.path());
    EXPECT_THAT(weights.names(), ElementsAre("pooler.dense.weight", "other.weight"));
    EXPECT_TRUE(weights.is_sparse("bert.pooler.dense.weight"));
    EXPECT_FALSE(weights.is_sparse("other.weight"));
    EXPECT_FALSE(weights.is_int8("bert.pooler.dense.weight"));
    EXPECT_EQ(weights.stored_type("bert.pooler.dense.weight"), type);
    EXPECT_THAT(weights.unused(), SizeIs(5)) << "as named in the file";
    std::vector<float> expected(30, 0);
    expected[0] = 1.5, expected[9] = -2, expected[28] = 3;
    EXPECT_THAT(weights.get("bert.pooler.dense.weight", {3, 10}).values<float>(), ElementsAreArray(expected));
    EXPECT_THAT(weights.unused(), ElementsAre("other.weight"));
    EXPECT_THAT(weights.get_sparse("bert.pooler.dense.weight", {3, 10}).values.values<float>(),
                ElementsAre(1.5, -2, 3));
    expect_error(ErrorCode::kShape, {"has shape [3, 10], expected"}, [&] {
      (void)weights.get("pooler.dense.weight", {10, 3});
    });
    expect_error(ErrorCode::kUnsupported, {"is not stored without its zeros"},
                 [&] { (void)weights.get_sparse("other.weight", {1}); });
  }
}

TEST(Weights, WithoutZerosAndWithoutSenseAreRefused) {
  const auto refused = [](size_t part, std::optional<Tensor> tensor, ErrorCode code, const std::string& text) {
    const TempDir dir;
    std::vector<NamedTensor> parts = sparse_parts();
    if (tensor)
      parts[part].tensor = *tensor;
    else
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(part));
    save(dir, parts);
    expect_error(code, {text}, [&] { (void)Weights(dir.path()).find("pooler.dense.weight"); });
  };
  const auto bits = [](Shape shape, std::vector<uint8_t> all) { return Tensor::of<uint8_t>(shape, all); };
  for (const size_t part : {1u, 2u, 3u}) refused(part, {}, ErrorCode::kFormat, "beside it");
  refused(0, row({1, 2}), ErrorCode::kValue, "has 2 numbers, but \"pooler.dense.weight.bitmask\" has 3 bits");
  refused(0, Tensor::of<int64_t>({3}, {1, 2, 3}), ErrorCode::kUnsupported, "expected floats");
  refused(1, bits({3, 2}, {1, 4, 0, 0, 0, 1}), ErrorCode::kValue, "beyond the end of a row");
  refused(1, bits({2, 3}, {1, 2, 0, 0, 0, 1}), ErrorCode::kFormat, "a bit for each number");
  refused(1, bits({6}, {1, 2, 0, 0, 0, 1}), ErrorCode::kFormat, "expected U8 of 2 dimension(s)");
  refused(1, row({1}), ErrorCode::kFormat, "expected U8");
  refused(2, Tensor::of<int64_t>({2}, {3, 17}), ErrorCode::kFormat, "says [3, 17]");
  refused(2, Tensor::of<int64_t>({2}, {3, -1}), ErrorCode::kFormat, "says [3, -1]");
  refused(2, Tensor::of<int64_t>({2}, {int64_t{1} << 62, 10}), ErrorCode::kFormat, "a bit for each number");
  refused(2, Tensor::of<int64_t>({3}, {3, 10, 1}), ErrorCode::kFormat, "has 3 numbers, expected 2");
  refused(2, Tensor::of<int64_t>({2}, {3, 0}), ErrorCode::kFormat, "says [3, 0]");
  const TempDir dir;
  // Numbers that are integers make no weight of 8 bits, scales or not: there are not as many as its shape says.
  std::vector<NamedTensor> both = sparse_parts();
  both[0].tensor = bytes({3}, {1, 2, 3});
  both.push_back({"pooler.dense.weight_scale", row({1, 1, 1})});
  save(dir, both);
  {
    Weights weights(dir.path());
    EXPECT_FALSE(weights.is_int8("pooler.dense.weight"));
    expect_error(ErrorCode::kUnsupported, {"expected floats of one dimension"},
                 [&] { (void)weights.find("pooler.dense.weight"); });
  }
  std::vector<NamedTensor> twice = sparse_parts();
  twice.push_back({"bert.pooler.dense.weight", row({1})});
  save(dir, twice);
  expect_error(ErrorCode::kFormat, {"two spellings"}, [&] { Weights{dir.path()}; });
}

}  // namespace
}  // namespace cloze
