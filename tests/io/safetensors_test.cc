#include "cloze/io/safetensors.h"

#include <optional>

#include "io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

Path write(const TempDir& dir, std::string_view name, std::string_view bytes) {
  write_file(dir / name, bytes);
  return dir / name;
}

/// A file of one tensor "a".
Path file_of_one(const TempDir& dir, std::string_view dtype, std::string_view shape, std::string_view data) {
  std::string header =
      fmt::format(R"({{"a":{{"dtype":"{}","shape":{},"data_offsets":[0,{}]}}}})", dtype, shape, data.size());
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return write(dir, "one.safetensors", safetensors_bytes(header, data));
}

TEST(SafetensorsFile, ReadsLiteralBytes) {
  const TempDir dir;
  const SafetensorsFile file(file_of_one(dir, "F32", "[2,1]", std::string_view("\0\0\x80\x3F\0\0\x20\xC1", 8)));
  const Tensor a = file.tensor("a");
  EXPECT_EQ(a.shape(), Shape({2, 1}));
  EXPECT_THAT(a.values<float>(), ElementsAre(1.0f, -10.0f));
  EXPECT_EQ(file.find("b"), nullptr);
  expect_error(ErrorCode::kNotFound, {"one.safetensors: no tensor \"b\" among its 1"}, [&] { (void)file.tensor("b"); });
}

TEST(SafetensorsFile, ReadsEveryDtypeOfTensor) {
  const TempDir dir;
  EXPECT_THAT(
      SafetensorsFile(file_of_one(dir, "I64", "[1]", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF")).tensor("a").values<int64_t>(),
      ElementsAre(-2));
  EXPECT_THAT(
      SafetensorsFile(file_of_one(dir, "I32", "[1]", std::string_view("\1\2\0\0", 4))).tensor("a").values<int32_t>(),
      ElementsAre(513));
  EXPECT_THAT(SafetensorsFile(file_of_one(dir, "U8", "[2]", "\x07\xFF")).tensor("a").values<uint8_t>(),
              ElementsAre(7, 255));
  EXPECT_EQ(SafetensorsFile(file_of_one(dir, "BOOL", "[1]", "\1")).tensor("a").dtype(), DType::kBool);
  EXPECT_EQ(SafetensorsFile(file_of_one(dir, "F16", "[1]", std::string_view("\0\x3C", 2))).tensor("a").dtype(),
            DType::kF16);
  EXPECT_EQ(SafetensorsFile(file_of_one(dir, "BF16", "[1]", "\x80\x3F")).tensor("a").dtype(), DType::kBF16);
  EXPECT_THAT(SafetensorsFile(file_of_one(dir, "F64", "[1]", std::string_view("\0\0\0\0\0\0\xF0\x3F", 8)))
                  .tensor("a")
                  .values<double>(),
              ElementsAre(1.0));
}

TEST(SafetensorsFile, TensorsAreViewsThatKeepTheMappingAlive) {
  const TempDir dir;
  const Path path = file_of_one(dir, "U8", "[4]", "abcd");
  Tensor first, second;
  {
    const SafetensorsFile file(path);
    first = file.tensor("a");
    second = file.tensor("a");
  }
  EXPECT_EQ(first.raw(), second.raw());
  std::filesystem::remove(path);
  EXPECT_THAT(first.values<uint8_t>(), ElementsAre('a', 'b', 'c', 'd'));
}

TEST(SafetensorsFile, WritingToATensorNeverReachesTheFile) {
  const TempDir dir;
  const Path path = file_of_one(dir, "U8", "[4]", "abcd");
  const std::string before = read_file(path);
  const Tensor tensor = SafetensorsFile(path).tensor("a");
  tensor.data<uint8_t>()[0] = 'X';
  EXPECT_THAT(tensor.values<uint8_t>(), ElementsAre('X', 'b', 'c', 'd'));
  EXPECT_EQ(read_file(path), before);
}

TEST(SafetensorsFile, ATensorThatTheFileDoesNotAlignIsCopied) {
  const TempDir dir;
  for (size_t spaces = 0; spaces < 8; ++spaces) {
    const std::string header = R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                               R"("f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})" +
                               std::string(spaces, ' ');
    const SafetensorsFile file(
        write(dir, "m.safetensors", safetensors_bytes(header, std::string_view("u\0\0\x80\x3F\0\0\0\x40", 9))));
    const Tensor first = file.tensor("f"), second = file.tensor("f");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first.raw()) % 4, 0u);
    EXPECT_EQ(first.raw() == second.raw(), (8 + header.size() + 1) % 4 == 0) << spaces;
    EXPECT_THAT(first.values<float>(), ElementsAre(1.0f, 2.0f));
  }
}

TEST(SafetensorsFile, WhatTensorCannotHoldOpensButIsRefusedAtUse) {
  const TempDir dir;
  const SafetensorsFile int16(file_of_one(dir, "I16", "[1]", "ab"));
  EXPECT_EQ(int16.tensors().at(0).dtype, "I16");
  expect_error(ErrorCode::kUnsupported, {"one.safetensors: tensor \"a\" has dtype I16, which Cloze cannot use"},
               [&] { (void)int16.tensor("a"); });
  const SafetensorsFile rank5(file_of_one(dir, "U8", "[1,1,2,1,1]", "ab"));
  expect_error(ErrorCode::kUnsupported, {"one.safetensors: tensor \"a\" has 5 dimensions; Cloze uses at most 4"},
               [&] { (void)rank5.tensor("a"); });
}

TEST(SafetensorsFile, MissingFilesAndFoldersAreNamed) {
  const TempDir dir;
  expect_error(ErrorCode::kNotFound, {"none.safetensors"}, [&] { SafetensorsFile file(dir / "none.safetensors"); });
  expect_error(ErrorCode::kIo, {dir.path().string(), "found a folder"}, [&] { SafetensorsFile file(dir.path()); });
  expect_error(ErrorCode::kFormat, {"empty.safetensors: 0 bytes are too few"},
               [&] { SafetensorsFile file(write(dir, "empty.safetensors", "")); });
}

TEST(SafetensorsFile, MovesWithItsIndex) {
  const TempDir dir;
  std::optional<SafetensorsFile> first(std::in_place, file_of_one(dir, "U8", "[1]", "a"));
  const SafetensorsFile second = std::move(*first);
  first.reset();
  EXPECT_THAT(second.tensor("a").values<uint8_t>(), ElementsAre('a'));
}

TEST(WriteSafetensors, WritesTheseBytes) {
  const TempDir dir;
  write_safetensors(dir / "w.safetensors",
                    {{"b", Tensor::of<float>({1, 1}, {1.0f})}, {"a", Tensor::of<uint8_t>({3}, {'x', 'y', 'z'})}},
                    {{"cloze", "1"}});
  const std::string header =
      R"({"__metadata__": {"cloze": "1", "format": "pt"}, "b": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}, )"
      R"("a": {"dtype": "U8", "shape": [3], "data_offsets": [4, 7]}})";
  EXPECT_EQ(read_file(dir / "w.safetensors"), safetensors_bytes(header + std::string((8 - header.size() % 8) % 8, ' '),
                                                                std::string_view("\0\0\x80\x3Fxyz", 7)));
}

TEST(WriteSafetensors, RoundTripKeepsEveryDtypeShapeBitAndOrder) {
  const TempDir dir;
  const std::vector<NamedTensor> tensors = {
      {"z.f32", Tensor::of<float>({2, 2}, {1.5f, -0.0f, std::numeric_limits<float>::quiet_NaN(), 1e-45f})},
      {"f64", Tensor::of<double>({1, 1, 1, 1}, {0.1})},
      {"scalar", Tensor::of<int64_t>({}, {-5})},
      {"i32", Tensor::of<int32_t>({3}, {1, -2, 3})},
      {"u8", Tensor::of<uint8_t>({5}, {0, 1, 2, 3, 255})},
      {"bf16", Tensor::of<uint16_t>({2}, {0x3F80, 0x7FC0})},
      {"none", Tensor({0, 4}, DType::kF32)},
      {"größe \"quoted\" \\ \n", Tensor::of<float>({1}, {2})},
  };
  write_safetensors(dir / "r.safetensors", tensors, {{"naïve", "ü\n\"\\"}});
  const SafetensorsFile file(dir / "r.safetensors");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"naïve", "ü\n\"\\"}}));
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    EXPECT_EQ(file.tensors()[i].name, name);
    const Tensor read = file.tensor(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(read.raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0) << name;
  }
}

TEST(WriteSafetensors, DataStartsAtAMultipleOfEight) {
  const TempDir dir;
  for (size_t length = 1; length < 20; ++length) {
    write_safetensors(dir / "p.safetensors", {{std::string(length, 'n'), Tensor::of<float>({1}, {1})}});
    const std::string bytes = read_file(dir / "p.safetensors");
    EXPECT_EQ((bytes.size() - 4) % 8, 0u) << length;
    EXPECT_EQ(SafetensorsFile(dir / "p.safetensors").tensors().size(), 1u);
  }
}

TEST(WriteSafetensors, EqualInputGivesEqualBytes) {
  const TempDir dir;
  const std::vector<NamedTensor> tensors = {{"b", Tensor::zeros({3}, DType::kF32)},
                                            {"a", Tensor::zeros({5}, DType::kF64)}};
  write_safetensors(dir / "1", tensors, {{"x", "1"}, {"y", "2"}});
  write_safetensors(dir / "2", tensors, {{"y", "2"}, {"x", "1"}});
  EXPECT_EQ(read_file(dir / "1"), read_file(dir / "2"));
}

TEST(WriteSafetensors, ReplacesAFileThatIsStillMapped) {
  const TempDir dir;
  const Path path = dir / "m.safetensors";
  write_safetensors(path, {{"a", Tensor::of<float>({2}, {1, 2})}});
  const Tensor old = SafetensorsFile(path).tensor("a");
  write_safetensors(path, {{"b", old}, {"a", Tensor::of<float>({1}, {9})}});
  EXPECT_THAT(old.values<float>(), ElementsAre(1, 2));
  EXPECT_THAT(SafetensorsFile(path).tensor("b").values<float>(), ElementsAre(1, 2));
}

TEST(WriteSafetensors, RefusesBadNamesAndLeavesNothingBehind) {
  const TempDir dir;
  const Tensor t = Tensor::zeros({1}, DType::kF32);
  const auto refuse = [&](std::vector<NamedTensor> tensors, std::map<std::string, std::string> metadata,
                          std::string_view words) {
    expect_error(ErrorCode::kValue, {"bad.safetensors", words},
                 [&] { write_safetensors(dir / "bad.safetensors", tensors, metadata); });
  };
  refuse({{"", t}}, {}, "\"\" cannot be the name of a tensor");
  refuse({{"__metadata__", t}}, {}, "\"__metadata__\" cannot be the name of a tensor");
  refuse({{"a\xFF", t}}, {}, "cannot be the name of a tensor");
  refuse({{"a", t}, {"a", t}}, {}, "two tensors have the name \"a\"");
  refuse({{"a", Tensor()}}, {}, "tensor \"a\" is undefined");
  refuse({{"a", t}}, {{"k", "\xFF"}}, "the metadata entry \"k\" is not UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  expect_error(ErrorCode::kIo, {"no-such-folder"}, [&] { write_safetensors(dir / "no-such-folder/m", {{"a", t}}); });
}

TEST(ReadShardIndex, ReadsTheMapInOrderAndPassesOverTheRest) {
  const TempDir dir;
  const Path path = write(dir, "i.json", R"({"metadata":{"total_size":8,"x":[1,{"y":[]}]},
                                             "weight_map":{"b":"1.safetensors","a":"2.safetensors"}})");
  EXPECT_EQ(read_shard_index(path), (ShardMap{{"b", "1.safetensors"}, {"a", "2.safetensors"}}));
}

TEST(ReadShardIndex, RefusesWhatIsNotAMapOfPlainFileNames) {
  const TempDir dir;
  const auto refuse = [&](std::string_view json, std::string_view words) {
    expect_error(ErrorCode::kFormat, {"i.json: ", words}, [&] { read_shard_index(write(dir, "i.json", json)); });
  };
  for (const char* name : {"", ".", "..", "../m.safetensors", "/etc/passwd", "a/b", "a\\\\b", "a\\u0000b"}) {
    refuse(fmt::format(R"({{"weight_map":{{"t":"{}"}}}})", name), "tensor \"t\" is said to be in \"");
  }
  refuse("{}", "\"weight_map\" (tensor name to file name) is missing");
  refuse("[]", "expected an object, found an array");
  refuse("1", "expected an object, found a number");
  refuse(R"({"weight_map":[]})", "\"weight_map\" must be an object, found an array");
  refuse(R"({"weight_map":"x"})", "\"weight_map\" must be an object, found a string");
  refuse(R"({"weight_map":{"t":1}})", "the file of tensor \"t\" must be a string, found a number");
  refuse(R"({"weight_map":{"t":{}}})", "the file of tensor \"t\" must be a string, found an object");
  refuse(R"({"weight_map":{"t":["x"]}})", "the file of tensor \"t\" must be a string, found an array");
  refuse(R"({"weight_map":{"t":"x","t":"y"}})", "the key \"t\" stands twice");
  refuse(R"({"weight_map":{}} x)", "not valid JSON");
  refuse("{\"metadata\":" + std::string(100, '[') + std::string(100, ']') + "}", "nested deeper than 16 levels");
  refuse("{\"weight_map\":{\"t\xFF\":\"x\"}}", "not valid JSON");
}

}  // namespace
}  // namespace cloze
