// Grown tensors, byte for byte.
#include "cloze/io/grow_rows.h"

#include "cloze/io/grow_model.h"
#include "cloze/io/safetensors.h"
#include "cloze/io/weights.h"
#include "tests/io/io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kNames[] = {"bert.embeddings.word_embeddings.weight", "cls.predictions.bias"};

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

template <class T>
std::vector<T> values_of(const SafetensorsFile& file, std::string_view name) {
  const Tensor tensor = file.tensor(name);
  const T* data = static_cast<const T*>(tensor.raw());
  return {data, data + tensor.bytes() / static_cast<int64_t>(sizeof(T))};
}

TEST(GrowRows, NewRowsAreMeansAndTheRestIsAsItWas) {
  const TempDir dir;
  write_file(dir / "a",
             safetensors_bytes(
                 R"({"__metadata__":{"format":"pt","who":"me"},)"
                 R"("cls.predictions.bias":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
                 R"("other":{"dtype":"I32","shape":[2],"data_offsets":[4,12]},)"
                 R"("embeddings.word_embeddings.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[12,28]}})",
                 bytes_of<uint16_t>({0x3C00, 0x4000}) + bytes_of<int32_t>({7, 8}) + bytes_of<float>({1, 2, 3, 10})));
  const GrownFile grown = grow_rows(dir / "a", dir / "b", kNames, {2, {{0, 1}, {1}, {0, 0, 1, 1}}});
  EXPECT_EQ(grown.added_bytes, 3 * 2 + 3 * 8);
  const SafetensorsFile file(dir / "b");
  EXPECT_THAT(values_of<float>(file, "embeddings.word_embeddings.weight"), ElementsAre(1, 2, 3, 10, 2, 6, 3, 10, 2, 6));
  EXPECT_THAT(values_of<uint16_t>(file, "cls.predictions.bias"), ElementsAre(0x3C00, 0x4000, 0x3E00, 0x4000, 0x3E00));
  EXPECT_THAT(values_of<int32_t>(file, "other"), ElementsAre(7, 8));
  EXPECT_EQ(file.metadata().at("who"), "me");
  EXPECT_EQ(file.find("cls.predictions.bias")->begin % 2, 0u);
}

/// The bias of one value grown by the mean of `bits`, as bits.
uint16_t mean_bits(const char* dtype, uint16_t a, uint16_t b) {
  const TempDir dir;
  const std::string header =
      std::string(R"({"cls.predictions.bias":{"dtype":")") + dtype + R"(","shape":[2],"data_offsets":[0,4]}})";
  write_file(dir / "a", safetensors_bytes(header, bytes_of<uint16_t>({a, b})));
  grow_rows(dir / "a", dir / "b", kNames, {2, {{0, 1}}});
  return values_of<uint16_t>(SafetensorsFile(dir / "b"), "cls.predictions.bias").at(2);
}

TEST(GrowRows, SixteenBitMeansRoundToNearestEven) {
  EXPECT_EQ(mean_bits("F16", 0x3C00, 0x3C01), 0x3C00);  // between two: the even one
  EXPECT_EQ(mean_bits("F16", 0x3C01, 0x3C02), 0x3C02);
  EXPECT_EQ(mean_bits("F16", 0x0001, 0x0003), 0x0002);  // subnormal
  EXPECT_EQ(mean_bits("F16", 0x03FF, 0x0401), 0x0400);  // the least normal
  EXPECT_EQ(mean_bits("F16", 0x7BFF, 0x7BFF), 0x7BFF);  // the greatest
  EXPECT_EQ(mean_bits("F16", 0xC000, 0x8000), 0xBC00);  // -2 and -0
  EXPECT_EQ(mean_bits("F16", 0x7C00, 0x3C00), 0x7C00);  // infinity
  EXPECT_EQ(mean_bits("BF16", 0x3F80, 0x3F81), 0x3F80);
  EXPECT_EQ(mean_bits("BF16", 0x3F81, 0x3F82), 0x3F82);
  EXPECT_EQ(mean_bits("BF16", 0xBF80, 0xC040), 0xC000);
}

TEST(GrowRows, PaddingRowsAreReplacedBeforeTheTableGrows) {
  const TempDir dir;
  write_file(dir / "a",
             safetensors_bytes(R"({"cls.predictions.bias":{"dtype":"F64","shape":[4],"data_offsets":[0,32]}})",
                               bytes_of<double>({1, 2, -9, -8})));
  grow_rows(dir / "a", dir / "b", kNames, {2, {{0, 1}}});
  EXPECT_THAT(values_of<double>(SafetensorsFile(dir / "b"), "cls.predictions.bias"), ElementsAre(1, 2, 1.5, -8));
}

TEST(GrowRows, RefusesWhatItCannotAverage) {
  const TempDir dir;
  write_file(dir / "a",
             safetensors_bytes(R"({"cls.predictions.bias":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", "abcd"));
  expect_error(ErrorCode::kUnsupported, {"I32"}, [&] { grow_rows(dir / "a", dir / "b", kNames, {1, {{0}}}); });
  expect_error(ErrorCode::kShape, {"1 rows", "2 entries"}, [&] {
    grow_rows(dir / "a", dir / "b", kNames, {2, {{0}}});
  });
  EXPECT_FALSE(std::filesystem::exists(dir / "b"));
}

/// Two shards, of which one grows; weights in another form and folders stay behind, all else is copied.
TEST(GrowModel, ShardsGrowAndPlainFilesAreCopied) {
  const TempDir dir;
  const Path from = dir / "m", to = dir / "n";
  make_folder(from / "logs");
  make_folder(to);
  write_file(from / "config.json", R"({"model_type":"bert","vocab_size":1,"note":[1e-12]})");
  write_file(from / "vocab.txt", "old");
  write_file(from / "README.md", "text");
  write_file(from / "pytorch_model.bin", "stale");
  const auto shard = [&](const char* file, std::initializer_list<const char*> tensors) {
    std::string header, data;
    for (const char* name : tensors) {
      const size_t at = data.size();
      data += bytes_of<float>({5});
      header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{},{}]}})", at == 0 ? "{" : ",",
                            name, at, at + 4);
    }
    write_file(from / file, safetensors_bytes(header + "}", data));
  };
  shard("one.safetensors", {"module.bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"});
  shard("two.safetensors", {"x"});
  write_file(from / "model.safetensors.index.json",
             R"({"metadata":{"total_size":12},"weight_map":{"module.bert.embeddings.word_embeddings.weight":)"
             R"("one.safetensors","cls.predictions.decoder.weight":"one.safetensors","x":"two.safetensors"}})");
  const std::vector<std::string> skip = {"vocab.txt"};
  const GrownModel grown = grow_model(from, to, {1, {{0}, {0}}}, skip);
  EXPECT_EQ(grown.rows, 3);
  EXPECT_THAT(grown.tensors,
              ElementsAre("module.bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"));
  EXPECT_THAT(grown.not_copied, ElementsAre("logs", "pytorch_model.bin"));
  EXPECT_EQ(read_file(to / "README.md"), "text");
  EXPECT_EQ(read_file(to / "two.safetensors"), read_file(from / "two.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(to / "vocab.txt"));
  EXPECT_THAT(read_file(to / "model.safetensors.index.json"), ::testing::HasSubstr("\"total_size\": 28"));
  EXPECT_THAT(read_file(to / "config.json"), ::testing::HasSubstr("\"vocab_size\": 3"));
  EXPECT_EQ(Weights(to).shape_of("cls.predictions.decoder.weight"), Shape({3, 1}));
  EXPECT_EQ(Weights(to).shape_of("bert.embeddings.word_embeddings.weight"), Shape({3, 1}));
}

}  // namespace
}  // namespace cloze
