// A real BERT-tiny tuned on SST-2: its encoder, pooler and classifier on real embeddings. The file has no embeddings,
// so they are given, and its last layer norm is the one that the logits of fixtures.json were computed with.
#include <filesystem>

#include "cloze/model/checkpoint.h"
#include "tests/model/model_testing.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

const Path kDir = Path(CLOZE_SOURCE_DIR) / "../shared/data/models/bert-tiny-sst2-encoder-only";

class RealTinyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kDir / "model.safetensors")) GTEST_SKIP() << "no " << kDir << " on this machine";
    BertConfig config = BertConfig::preset("tiny");
    config.vocab_size = 1;  // the embeddings are not in the file
    model_.emplace(config, 2);
    ParameterList list = model_->classifier_parameters();
    std::erase_if(list, [](const Parameter* p) { return p->name.starts_with("bert.embeddings."); });
    Weights weights(kDir);
    report_ = load_parameters(weights, list, 0, 0, [](const std::string&) { return false; });
    for (const Parameter* parameter : list) values_[parameter->name] = parameter->var;
    for (const char* name : {"A", "C", "D"}) {
      const SafetensorsFile file(kDir / "model.safetensors");
      embeddings_[name] = file.tensor(fmt::format("fixture.{}.embeddings_output", name));
    }
    fixtures_ = parse_json(read_file(kDir / "fixtures.json"), "fixtures.json")["fixtures"];
  }
  std::optional<test::BertWithHeads> model_;
  LoadReport report_;
  std::map<std::string, Var> values_;
  std::map<std::string, Tensor> embeddings_;
  Json fixtures_;
};

TEST_F(RealTinyTest, ReadsItsTensors) {
  EXPECT_EQ(report_.read.size(), 36u);
  EXPECT_THAT(report_.unused,
              ::testing::UnorderedElementsAre("fixture.A.embeddings_output", "fixture.C.embeddings_output",
                                              "fixture.D.embeddings_output"));
}

TEST_F(RealTinyTest, LogitsAreTheFixtures) {
  for (const Backend* chosen : {&cpu_backend(), &ref_backend()}) {
    const BackendScope scope(*chosen);
    const NoGrad no_grad;
    for (const auto& [name, embeddings] : embeddings_) {
      const auto tokens = static_cast<size_t>(embeddings.shape()[0]);
      EXPECT_EQ(tokens, fixtures_[name]["tokens"].get<size_t>());
      const RaggedBatch batch = make_ragged_batch({std::vector<int32_t>(tokens)}, {});
      ForwardContext context;
      const Var hidden = model_->bert.encode(Var(embeddings), batch.offsets, context);
      const Tensor logits = model_->classifier.forward(model_->bert.pooled(hidden, batch), context).value();
      const auto expected = fixtures_[name]["logits_exact_layernorm"].get<std::vector<double>>();
      for (int64_t c = 0; c < 2; ++c)
        EXPECT_NEAR(logits.data<float>()[c], expected[static_cast<size_t>(c)], 1e-5) << chosen->name() << " " << name;
    }
  }
}

TEST_F(RealTinyTest, FirstAttentionIsTheFixture) {
  const NoGrad no_grad;
  const Var x(embeddings_["A"]);
  const auto project = [&](const std::string& which) {
    const std::string name = "bert.encoder.layer.0.attention.self." + which;
    return linear(x, values_.at(name + ".weight"), values_.at(name + ".bias"));
  };
  const Var y = attention(project("query"), project("key"), project("value"), test::int_tensor({0, 10}), 2, {});
  const auto expected = fixtures_["A"]["layer0_attention_self_first_row_first3"].get<std::vector<double>>();
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(y.value().values<float>()[i], expected[i], 1e-4);  // given to four digits
}

}  // namespace
}  // namespace cloze
