// Files that other programs wrote: the Python golden (golden/make_safetensors.py), and a published checkpoint.
#include "cloze/io/safetensors.h"
#include "cloze/io/weights.h"
#include "io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

TEST(SafetensorsGolden, AFileFromPythonIsReadAsItIs) {
  const SafetensorsFile file(Path(CLOZE_SOURCE_DIR) / "tests/io/golden/python.safetensors");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.tensors().size(), 7u);
  EXPECT_THAT(file.tensor("bert.embeddings.position_ids").values<int64_t>(), ElementsAre(0, 1, 2));
  const Tensor weight = file.tensor("bert.pooler.dense.weight");
  EXPECT_EQ(weight.shape(), Shape({2, 3}));
  EXPECT_THAT(weight.values<float>(), ElementsAre(0.1f, -0.2f, 3.0f, 4.5f, -1e-8f, 1e30f));
  EXPECT_THAT(to_float(file.tensor("classifier.bias"), DType::kF32).values<float>(),
              ElementsAre(1.0f, -2.5f, 65504.0f));
  EXPECT_THAT(to_float(file.tensor("classifier.weight"), DType::kF32).values<float>(), ElementsAre(1.0f, -3.140625f));
  EXPECT_THAT(file.tensor("größe").values<double>(), ElementsAre(0.1));
  EXPECT_EQ(file.tensor("größe").shape(), Shape());
  const Tensor mask = file.tensor("mask");
  EXPECT_EQ(mask.dtype(), DType::kBool);
  EXPECT_THAT(mask.values<uint8_t>(), ElementsAre(1, 0, 1));
  EXPECT_EQ(file.tensor("empty").elements(), 0);
}

TEST(SafetensorsGolden, APublishedCheckpointIsRead) {
  const Path dir = Path(CLOZE_SOURCE_DIR) / "../shared/data/models/bert-tiny-sst2-encoder-only";
  if (!std::filesystem::exists(dir)) GTEST_SKIP() << dir << " is not there (shared/data is not part of the project)";
  Weights weights(dir);
  EXPECT_EQ(weights.names().size(), 39u);
  for (const std::string& name : weights.names()) {
    check_finite(*weights.find(name), name, weights.source().string());
  }
  const Tensor query = weights.get("bert.encoder.layer.1.attention.self.query.weight", {128, 128});
  const Tensor bias = weights.get("classifier.bias", {2});
  EXPECT_NE(query.values<float>()[0], 0.0f);
  EXPECT_TRUE(weights.unused().empty());

  // Written anew in the same order, it has the same data.
  const TempDir copy;
  std::vector<NamedTensor> tensors;
  for (const std::string& name : weights.names()) tensors.push_back({name, *weights.find(name)});
  write_safetensors(copy / "model.safetensors", tensors);
  const std::string original = read_file(dir / "model.safetensors"), written = read_file(copy / "model.safetensors");
  EXPECT_EQ(original.substr(original.size() - 1677832), written.substr(written.size() - 1677832));
  EXPECT_EQ(Weights(copy.path()).get("classifier.bias", {2}).values<float>()[1], bias.values<float>()[1]);
}

}  // namespace
}  // namespace cloze
