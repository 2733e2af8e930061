// Masked words and the next sentence against PyTorch's numbers (golden/make_golden.py), frozen and not.
#include "cloze/model/pretraining_model.h"

#include <cmath>

#include "cloze/model/checkpoint.h"
#include "tests/model/model_testing.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

const Path kGoldenFolder = Path(CLOZE_SOURCE_DIR) / "tests/model/golden";

PretrainingModel load_golden(PretrainingHeads heads) {
  PretrainingModel model(load_config(ModelFiles::open(kGoldenFolder)), heads);
  Weights weights(kGoldenFolder);
  load_parameters(weights, model.parameters(), 0, 0, [](const std::string&) { return false; });
  return model;
}

struct GoldenInput {
  Json input = ModelFiles::open(kGoldenFolder).read_json("input.json");
  RaggedBatch batch = make_ragged_batch(input["ids"].get<test::Rows>(), input["segments"].get<test::Rows>());
  Tensor masked = test::int_tensor(input["masked"].get<std::vector<int32_t>>());
  SafetensorsFile outputs{kGoldenFolder / "outputs.safetensors"};
};

void expect_near(const Tensor& found, const Tensor& expected, double bound) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (int64_t i = 0; i < found.elements(); ++i)
    ASSERT_NEAR(test::element(found, i), test::element(expected, i), bound) << "element " << i;
}

TEST(PretrainingModelTest, BothHeadsGiveTheOraclesLogits) {
  const GoldenInput golden;
  PretrainingModel model = load_golden({});
  const NoGrad no_grad;
  for (const bool frozen : {false, true}) {
    if (frozen) model.freeze_with_heads();
    ForwardContext context;
    const Var hidden = model.bert().forward(golden.batch, context);
    expect_near(model.masked_logits(hidden, golden.masked).value(), golden.outputs.tensor("mlm"), 1e-5);
    expect_near(model.next_sentence_logits(hidden, golden.batch.first_tokens()).value(), golden.outputs.tensor("nsp"),
                1e-5);
  }
}

TEST(PretrainingModelTest, TheHalvesOfTheMaskedWordsHeadAreTheWhole) {
  const GoldenInput golden;
  const PretrainingModel model = load_golden({.masked_words = true, .next_sentence = false});
  const NoGrad no_grad;
  ForwardContext context;
  const Var hidden = model.bert().forward(golden.batch, context);
  const Var halves = linear(model.masked_hidden(hidden, golden.masked), model.decoder_weight(), model.decoder_bias());
  EXPECT_EQ(test::bits_of(halves.value()), test::bits_of(model.masked_logits(hidden, golden.masked).value()));
}

TEST(PretrainingModelTest, NextSentenceFromTheFirstTokensAlone) {
  const GoldenInput golden;
  PretrainingModel model = load_golden({.masked_words = false, .next_sentence = true});
  model.freeze_with_heads();
  const NoGrad no_grad;
  ForwardContext context;
  expect_near(model.next_sentence_logits(golden.batch, context).value(), golden.outputs.tensor("nsp"), 1e-5);
}

TEST(PretrainingModelTest, ParametersAreThoseOfTheHeadsAsked) {
  const BertConfig config = test::small_config(1, 8, 2, 20);
  const auto names = [&](PretrainingHeads heads) {
    PretrainingModel model(config, heads);
    std::vector<std::string> result;
    for (const Parameter* parameter : model.parameters())
      if (parameter->name.starts_with("cls.") || parameter->name.starts_with("bert.pooler."))
        result.push_back(parameter->name);
    return result;
  };
  EXPECT_THAT(names({.masked_words = true, .next_sentence = false}),
              testing::ElementsAre("cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
                                   "cls.predictions.transform.LayerNorm.weight",
                                   "cls.predictions.transform.LayerNorm.bias", "cls.predictions.bias"));
  EXPECT_THAT(names({.masked_words = false, .next_sentence = true}),
              testing::ElementsAre("bert.pooler.dense.weight", "bert.pooler.dense.bias", "cls.seq_relationship.weight",
                                   "cls.seq_relationship.bias"));
  EXPECT_EQ(names({}).size(), 9u);
}

TEST(PretrainingModelTest, AHeadThatIsNotThereSaysSo) {
  const PretrainingModel words(test::small_config(1, 8, 2, 20), {.masked_words = true, .next_sentence = false});
  EXPECT_THROW(words.next_sentence_logits(Var(), Tensor()), Error);
  const PretrainingModel next(test::small_config(1, 8, 2, 20), {.masked_words = false, .next_sentence = true});
  EXPECT_THROW(next.decoder_bias(), Error);
}

}  // namespace
}  // namespace cloze
