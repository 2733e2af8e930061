#include "cloze/io/model_dir.h"

#include <algorithm>

#include "io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

TEST(ModelFiles, SaysWhatIsWrongWithAFolder) {
  const TempDir dir;
  expect_error(ErrorCode::kNotFound,
               {"there is no", "bert-base-uncased", "config.json, vocab.txt", "does not download"},
               [&] { ModelFiles::open(dir / "bert-base-uncased"); });
  expect_error(ErrorCode::kNotFound, {"is empty; expected a model directory: config.json"},
               [&] { ModelFiles::open(dir.path()); });
  write_file(dir / "model.bin", "x");
  expect_error(ErrorCode::kUsage, {"model.bin is a file; expected a model directory"},
               [&] { ModelFiles::open(dir / "model.bin"); });
  expect_error(ErrorCode::kNotFound, {"there is no"}, [&] { ModelFiles::open(dir / "model.bin/x"); });
  expect_error(ErrorCode::kUsage, {"name is empty"}, [] { ModelFiles::open(""); });
  expect_error(ErrorCode::kIo, {"File name too long"}, [&] { ModelFiles::open(dir / std::string(5000, 'n')); });
}

TEST(ModelFiles, RequireNamesWhatIsThereInstead) {
  const TempDir dir;
  write_file(dir / "vocab.txt", "");
  const ModelFiles files = ModelFiles::open(dir.path());
  EXPECT_TRUE(files.has(ModelFiles::kVocab));
  EXPECT_FALSE(files.has(ModelFiles::kConfig));
  EXPECT_EQ(files.require(ModelFiles::kVocab), dir / "vocab.txt");
  expect_error(ErrorCode::kNotFound, {"no config.json in", "which holds vocab.txt; expected a model directory"},
               [&] { files.read_json(); });
}

TEST(ModelFiles, ConfigRoundTrip) {
  const TempDir dir;
  const ModelFiles files = ModelFiles::create(dir / "new/model");
  EXPECT_TRUE(files.list().empty());
  Json config = Json::object();
  config["z"] = 1;
  config["id2label"] = {{"0", "größe"}};
  config["layer_norm_eps"] = 1e-12;
  files.write_json(ModelFiles::kConfig, config);
  EXPECT_EQ(ModelFiles::open(dir / "new/model").read_json(), config);
  EXPECT_THAT(files.list(), ElementsAre("config.json")) << "no temporary file stays";
}

TEST(ModelFiles, RefusesBrokenConfigs) {
  const TempDir dir;
  const auto refuse = [&](std::string_view content, std::string_view words) {
    write_file(dir / "config.json", content);
    expect_error(ErrorCode::kFormat, {"config.json", words}, [&] { ModelFiles::open(dir.path()).read_json(); });
  };
  refuse("[]", "expected a JSON object, found array");
  refuse("{", "not valid JSON");
  refuse("", "not valid JSON");
  refuse("{\"a\": \"\xFF\"}", "not valid JSON");
  refuse(std::string(100, '['), "nested deeper than 64 levels");
  refuse(std::string((size_t{16} << 20) + 1, ' '), "larger than the 16777216 bytes allowed");
}

TEST(ModelFiles, ListIsSortedWhateverTheFileSystemSays) {
  const TempDir dir;
  std::vector<std::string> names;
  for (int i = 99; i >= 10; --i) names.push_back(fmt::format("file-{}", i));
  for (const std::string& name : names) write_file(dir / name, "");
  std::ranges::reverse(names);
  EXPECT_EQ(ModelFiles::open(dir.path()).list(), names);
}

TEST(ModelFiles, CreateRefusesAFile) {
  const TempDir dir;
  write_file(dir / "f", "");
  expect_error(ErrorCode::kIo, {"cannot create the folder"}, [&] { ModelFiles::create(dir / "f"); });
}

}  // namespace
}  // namespace cloze
