#include "cloze/model/checkpoint.h"

#include <fstream>
#include <limits>

#include "tests/model/model_testing.h"

namespace cloze {
namespace {

using test::BertWithHeads;
using test::error_of;
using test::small_config;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr auto kNever = [](const std::string&) { return false; };

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() : files_(ModelFiles::create(folder_.path() / "model")) {
    for (Parameter* parameter : saved_.all_parameters()) parameter->initialize(1, 0.3);
    files_.write_json(ModelFiles::kConfig, small_config(2, 8, 2, 11).to_json());
  }
  /// The saved tensors as they would be written, to be changed.
  std::vector<NamedTensor> tensors() {
    std::vector<NamedTensor> all;
    for (const Parameter* parameter : saved_.all_parameters())
      all.push_back({parameter->name, parameter->var.value().clone()});
    return all;
  }
  void write(const std::vector<NamedTensor>& all) { write_safetensors(weights_path(), all); }
  Path weights_path() const { return files_.path(ModelFiles::kWeights); }
  std::string load_error(const ParameterList& list) {
    return error_of([&] {
      Weights weights(files_.dir());
      load_parameters(weights, list, 0.02, 7, kNever);
    });
  }

  test::TemporaryFolder folder_;
  ModelFiles files_;
  BertWithHeads saved_{small_config(2, 8, 2, 11)}, loaded_{small_config(2, 8, 2, 11)};
};

TEST_F(CheckpointTest, SavedAndLoadedAreTheSameBits) {
  save_parameters(files_, saved_.all_parameters());
  Weights weights(files_.dir());
  const LoadReport report = load_parameters(weights, loaded_.all_parameters(), 0.02, 7, kNever);
  const ParameterList before = saved_.all_parameters(), after = loaded_.all_parameters();
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i]->name, before[i]->name);
    EXPECT_EQ(test::bits_of(after[i]->var.value()), test::bits_of(before[i]->var.value())) << before[i]->name;
    EXPECT_TRUE(after[i]->var.needs_grad());
  }
  EXPECT_EQ(report.read.size(), before.size());
  EXPECT_THAT(report.unused, IsEmpty());
  EXPECT_THAT(report.ignored, IsEmpty());
  EXPECT_THAT(report.initialised, IsEmpty());
  const std::string first = read_file(weights_path());
  save_parameters(files_, after);
  EXPECT_EQ(read_file(weights_path()), first) << "written over the file that the values are mapped from";
}

TEST_F(CheckpointTest, TrainingAMappedWeightLeavesTheFileAlone) {
  save_parameters(files_, saved_.all_parameters());
  const std::string before = read_file(weights_path());
  Weights weights(files_.dir());
  load_parameters(weights, loaded_.all_parameters(), 0.02, 7, kNever);
  for (const Parameter* parameter : loaded_.all_parameters()) parameter->var.value().set_zero();
  EXPECT_EQ(read_file(weights_path()), before);
}

TEST_F(CheckpointTest, ReportSaysWhatHappenedToEachTensor) {
  std::vector<NamedTensor> all = tensors();
  std::erase_if(all, [](const NamedTensor& t) { return t.name.starts_with("classifier."); });
  all.push_back({"bert.embeddings.position_ids", Tensor::of<int64_t>({1, 2}, {0, 1})});
  all.push_back({"extra.weight", Tensor::zeros({1}, DType::kF32)});
  write(all);
  Weights weights(files_.dir());
  const auto is_head = [](const std::string& name) { return name.starts_with("classifier."); };
  const LoadReport report = load_parameters(weights, loaded_.classifier_parameters(), 0.02, 7, is_head);
  EXPECT_THAT(report.initialised, ElementsAre("classifier.weight", "classifier.bias"));
  EXPECT_THAT(report.ignored, ElementsAre("bert.embeddings.position_ids"));
  EXPECT_THAT(report.unused,
              UnorderedElementsAre("qa_outputs.weight", "qa_outputs.bias", "cls.seq_relationship.weight",
                                   "cls.seq_relationship.bias", "cls.predictions.transform.dense.weight",
                                   "cls.predictions.transform.dense.bias", "cls.predictions.transform.LayerNorm.weight",
                                   "cls.predictions.transform.LayerNorm.bias", "cls.predictions.bias", "extra.weight"));
  EXPECT_EQ(report.read.size(), loaded_.classifier_parameters().size() - 2);
  ClassifierHead fresh(small_config(2, 8, 2, 11), 3);
  ParameterList expected, found;
  fresh.collect(expected);
  loaded_.classifier.collect(found);
  for (size_t i = 0; i < 2; ++i) {
    expected[i]->initialize(7, 0.02);
    EXPECT_EQ(test::bits_of(found[i]->var.value()), test::bits_of(expected[i]->var.value())) << "from seed and name";
  }
}

TEST_F(CheckpointTest, AHeadThatIsThereIsReadThoughItMayBeInitialised) {
  save_parameters(files_, saved_.all_parameters());
  Weights weights(files_.dir());
  const LoadReport report =
      load_parameters(weights, loaded_.all_parameters(), 0.02, 7, [](const std::string&) { return true; });
  EXPECT_THAT(report.initialised, IsEmpty());
  EXPECT_EQ(test::bits_of(loaded_.all_parameters().back()->var.value()),
            test::bits_of(saved_.all_parameters().back()->var.value()));
}

TEST_F(CheckpointTest, AMissingTensorIsAnError) {
  std::vector<NamedTensor> all = tensors();
  std::erase_if(all, [](const NamedTensor& t) { return t.name == "bert.encoder.layer.1.output.dense.bias"; });
  write(all);
  EXPECT_EQ(load_error(loaded_.all_parameters()),
            fmt::format(
                "not found: {}: no tensor \"bert.encoder.layer.1.output.dense.bias\" (expected shape [8]) among its {}",
                weights_path().string(), all.size()));
}

TEST_F(CheckpointTest, AnotherShapeIsAnErrorEvenWhereItMayBeInitialised) {
  save_parameters(files_, saved_.all_parameters());
  BertWithHeads other(small_config(2, 8, 2, 11), 5);
  Weights weights(files_.dir());
  EXPECT_EQ(error_of([&] {
              load_parameters(weights, other.all_parameters(), 0.02, 7, [](const std::string&) { return true; });
            }),
            fmt::format("shape: {}: tensor \"classifier.weight\" has shape [3, 8], expected [5, 8]",
                        weights_path().string()));
}

TEST_F(CheckpointTest, NonFiniteWeightsAreErrors) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<NamedTensor> all = tensors();
    const auto at = std::ranges::find(all, "bert.pooler.dense.weight", &NamedTensor::name);
    ASSERT_NE(at, all.end());
    at->tensor.data<float>()[9] = bad;
    write(all);
    const std::string error = load_error(loaded_.all_parameters());
    EXPECT_THAT(error, StartsWith(fmt::format("value: {}: tensor \"bert.pooler.dense.weight\" of shape [8, 8] holds",
                                              weights_path().string())));
    EXPECT_THAT(error, HasSubstr("the first at [1, 1]"));
  }
}

TEST_F(CheckpointTest, IntegersAreNoWeights) {
  std::vector<NamedTensor> all = tensors();
  all[0].tensor = Tensor::zeros(all[0].tensor.shape(), DType::kI32);
  write(all);
  EXPECT_THAT(load_error(loaded_.all_parameters()), HasSubstr("has dtype I32, expected floats"));
}

TEST_F(CheckpointTest, LoadConfigHoldsTheSizesAgainstTheFile) {
  save_parameters(files_, saved_.all_parameters());
  EXPECT_EQ(load_config(files_).hidden_size, 8);
  BertConfig greedy = small_config(2000000000, 8, 2, 11);
  files_.write_json(ModelFiles::kConfig, greedy.to_json());
  const std::string error = error_of([&] { load_config(files_); });
  EXPECT_THAT(error, StartsWith("value: " + files_.path("config.json").string() +
                                ": 2000000000 layers of width 8 need at least "));
  EXPECT_THAT(error,
              HasSubstr(fmt::format("but the weight files have {}", std::filesystem::file_size(weights_path()))));
}

}  // namespace
}  // namespace cloze
