// next-sentence-prediction: answers, metrics, what it refuses; and which task a checkpoint stands for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "cloze/base/json.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/pretrained.h"
#include "cloze/task/task.h"
#include "tests/base/temporary.h"
#include "tests/task/small_pretrained.h"

namespace cloze {
namespace {

using test::error_of;
using test::SmallPretrained;
using test::write_pretrained;
using testing::HasSubstr;

TextExample pair(std::string first, std::string second, std::optional<std::string> label = std::nullopt) {
  TextExample example;
  example.text = std::move(first);
  example.text_pair = std::move(second);
  example.label = std::move(label);
  example.line = 2;
  return example;
}

class NextSentence : public testing::Test {
 protected:
  ModelFiles write(const SmallPretrained& small) {
    write_pretrained(folder_.path() / "model", small);
    return ModelFiles::open(folder_.path() / "model");
  }
  std::unique_ptr<Predictor> load(const SmallPretrained& small, const LoadOptions& options = {}) {
    return find_task("next-sentence-prediction").load(write(small), options);
  }
  test::TemporaryFolder folder_;
};

TEST_F(NextSentence, AnswersAsAClassifierDoes) {
  SmallPretrained small;
  small.next_logits = {0, -1000};
  const TextExample rows[] = {pair("the film", "is good")};
  EXPECT_EQ(load(small)->predict(rows).lines.at(0),
            R"({"label": "is_next", "score": 1, "scores": {"is_next": 1, "not_next": 0}, "tokens": 7, "windows": 1, )"
            R"("truncated": 0})");
}

TEST_F(NextSentence, ProbabilitiesAreTheOracles) {
  const Path golden = Path(CLOZE_SOURCE_DIR) / "tests/model/golden";
  const ModelFiles files = ModelFiles::open(golden);
  const auto loaded = load_pretrained(files, {}, {.masked_words = false, .next_sentence = true}, "a", "b");
  const Json input = files.read_json("input.json");
  EncodedRows rows;
  for (size_t s = 0; s < input["ids"].size(); ++s) {
    rows.sequences.push_back(
        {input["ids"][s].get<std::vector<int32_t>>(), input["segments"][s].get<std::vector<int32_t>>()});
    rows.begin.push_back(s + 1);
    rows.dropped.push_back(0);
  }
  const Tensor found =
      class_probabilities([&](const RaggedBatch& batch,
                              ForwardContext& context) { return loaded->model.next_sentence_logits(batch, context); },
                          2, rows);
  const Tensor expected = SafetensorsFile(golden / "outputs.safetensors").tensor("nsp");
  ASSERT_EQ(found.shape(), expected.shape());
  for (int64_t i = 0; i < found.shape()[0]; ++i) {
    const float *p = found.data<float>() + 2 * i, *logits = expected.data<float>() + 2 * i;
    EXPECT_NEAR(std::log(p[0] / p[1]), logits[0] - logits[1], 1e-5);
  }
}

TEST_F(NextSentence, ARowAloneGivesTheSameLine) {
  for (const Precision precision : {Precision::kF32, Precision::kInt8}) {
    LoadOptions options;
    options.precision = precision;
    const auto predictor = load({}, options);
    std::vector<TextExample> rows;
    for (int i = 0; i < 20; ++i)
      rows.push_back(pair(std::string(static_cast<size_t>(i), '.'), i % 2 ? "good" : "x bad"));
    const Answers together = predictor->predict(rows);
    EXPECT_NE(together.lines[3], together.lines[5]);
    for (size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(predictor->predict({&rows[i], 1}).lines.at(0), together.lines[i]) << i;
  }
}

TEST_F(NextSentence, EvaluatesLabelsByNameOrNumber) {
  SmallPretrained small;
  small.next_logits = {0, 0};
  const auto predictor = load(small);
  const TextExample rows[] = {pair("x", "x", "1"), pair("x", "x", "is_next"), pair("x", "x", "not_next"),
                              pair("x", "x", "is_next"), pair("x", "x", "0")};
  const Evaluation result = predictor->evaluate(rows, "data");
  EXPECT_NEAR(metric_value(result.metrics, "accuracy"), 0.6, 1e-12) << "of equals the first counts: is_next";
  EXPECT_NEAR(metric_value(result.metrics, "loss"), std::log(2), 1e-6);
  EXPECT_NEAR(metric_value(result.metrics, "f1_macro"), 0.375, 1e-12);
  EXPECT_THAT(result.text, HasSubstr("is_next"));
  const TextExample odd[] = {pair("x", "x", "yes")};
  EXPECT_THAT(
      error_of([&] { predictor->evaluate(odd, "data"); }, ErrorCode::kValue),
      HasSubstr("data line 2: the label must be is_next or 1 (the second text follows), not_next or 0, found \"yes\""));
}

TEST_F(NextSentence, NeedsPairsAHeadAndNoTopK) {
  const auto predictor = load({});
  TextExample alone = pair("x", "x");
  alone.text_pair.reset();
  EXPECT_THAT(error_of(
                  [&] {
                    predictor->predict({&alone, 1});
                  },
                  ErrorCode::kFormat),
              HasSubstr("needs two texts a row"));
  const TextExample sample = predictor->sample_row();
  predictor->predict({&sample, 1});
  SmallPretrained headless;
  headless.heads.next_sentence = false;
  EXPECT_THAT(error_of([&] { load(headless); }, ErrorCode::kNotFound),
              HasSubstr("it lacks bert.pooler.dense.weight, bert.pooler.dense.bias, cls.seq_relationship.weight, "
                        "cls.seq_relationship.bias. Checkpoints of BertForNextSentencePrediction and"));
  LoadOptions options;
  options.top_k = 2;
  EXPECT_THAT(error_of([&] { load({}, options); }, ErrorCode::kUsage), HasSubstr("--top-k is for fill-mask"));
}

TEST_F(NextSentence, TheArchitectureNamesTheTaskUnlessItHasSeveral) {
  SmallPretrained small;
  small.architecture = "BertForMaskedLM";
  EXPECT_STREQ(task_of(write(small), "").name, "fill-mask");
  EXPECT_STREQ(task_of(write(small), "next-sentence-prediction").name, "next-sentence-prediction");
  small.architecture = "BertForNextSentencePrediction";
  EXPECT_STREQ(task_of(write(small), "").name, "next-sentence-prediction");
  EXPECT_THAT(
      error_of([&] { task_of(write({}), ""); }, ErrorCode::kUsage),
      HasSubstr("config.json: a BertForPreTraining has heads for several tasks; say which one: --task fill-mask "
                "or --task next-sentence-prediction"));
}

TEST(FindTrainingTask, OffersWhatCanBeTrained) {
  EXPECT_STREQ(find_training_task("text-classification").name, "text-classification");
  EXPECT_THAT(error_of([&] { find_training_task("fill-mask"); }, ErrorCode::kUsage), HasSubstr("cloze pretrain"));
  EXPECT_THAT(error_of([&] { find_training_task("x"); }, ErrorCode::kUsage),
              testing::AllOf(HasSubstr("text-classification"), testing::Not(HasSubstr("fill-mask"))));
}

}  // namespace
}  // namespace cloze
