// fill-mask: what it answers, against PyTorch and by construction; bits; windows; what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/json.h"
#include "cloze/task/masked_text.h"
#include "cloze/task/masked_words.h"
#include "cloze/task/task.h"
#include "tests/base/temporary.h"
#include "tests/task/small_pretrained.h"

namespace cloze {
namespace {

using test::error_of;
using test::SmallPretrained;
using test::write_pretrained;
using testing::HasSubstr;

TextExample masked_row(std::string text, std::optional<std::string> pair = std::nullopt, int64_t line = 1) {
  TextExample example;
  example.text = std::move(text);
  example.text_pair = std::move(pair);
  example.line = line;
  return example;
}

class FillMask : public testing::Test {
 protected:
  std::unique_ptr<Predictor> load(const SmallPretrained& small, const LoadOptions& options = {}) {
    write_pretrained(folder_.path() / "model", small);
    return find_task("fill-mask").load(ModelFiles::open(folder_.path() / "model"), options);
  }
  test::TemporaryFolder folder_;
};

LoadOptions top(int64_t k) {
  LoadOptions options;
  options.top_k = k;
  return options;
}
LoadOptions length(int64_t tokens, const char* long_texts, int64_t stride = -1) {
  LoadOptions options;
  options.lengths = {.max_length = tokens, .long_texts = long_texts, .stride = stride};
  return options;
}

TEST_F(FillMask, AnswersInOneObjectARow) {
  SmallPretrained small;
  small.always = {"good", "bad"};
  const auto predictor = load(small, top(3));
  const TextExample rows[] = {masked_row("Thé [MASK] film is [MASK] .", std::nullopt), masked_row("x", "[MASK]")};
  const Answers answers = predictor->predict(rows);
  EXPECT_THAT(answers.lines,
              testing::ElementsAre(
                  R"({"text": "Thé good film is good .", "masks": [)"
                  R"({"in": "text", "offset": [4, 10], "top": [{"token": "good", "id": 5, "probability": 0.5}, )"
                  R"({"token": "bad", "id": 6, "probability": 0.5}, {"token": "[PAD]", "id": 0, "probability": 0}]}, )"
                  R"({"in": "text", "offset": [19, 25], "top": [{"token": "good", "id": 5, "probability": 0.5}, )"
                  R"({"token": "bad", "id": 6, "probability": 0.5}, {"token": "[PAD]", "id": 0, "probability": 0}]}], )"
                  R"("tokens": 8, "windows": 1, "truncated": 0})",
                  R"({"text": "x", "text_pair": "good", "masks": [)"
                  R"({"in": "text_pair", "offset": [0, 6], "top": [{"token": "good", "id": 5, "probability": 0.5}, )"
                  R"({"token": "bad", "id": 6, "probability": 0.5}, {"token": "[PAD]", "id": 0, "probability": 0}]}], )"
                  R"("tokens": 5, "windows": 1, "truncated": 0})"));
  EXPECT_EQ(answers.lengths.rows, 2);
}

TEST_F(FillMask, AnInnerPieceJoinsTheWordBefore) {
  SmallPretrained small;
  small.always = {"##s"};
  const auto predictor = load(small, top(1));
  const TextExample rows[] = {masked_row("two film [MASK] .")};
  EXPECT_EQ(Json::parse(predictor->predict(rows).lines[0])["text"], "two films .");
}

TEST_F(FillMask, FiveWordsUnlessToldOtherwise) {
  const TextExample rows[] = {masked_row("the [MASK]")};
  const auto count = [&](const LoadOptions& options) {
    return Json::parse(load({}, options)->predict(rows).lines[0])["masks"][0]["top"].size();
  };
  EXPECT_EQ(count({}), 5u);
  EXPECT_EQ(count(top(13)), 13u);
  for (const int64_t k : {0, -1, 14})
    EXPECT_THAT(error_of([&] { load({}, top(k)); }, ErrorCode::kUsage), HasSubstr("--top-k must be 1 to 13"));
}

TEST_F(FillMask, ProbabilitiesFallAndSumToOne) {
  const TextExample rows[] = {masked_row("the [MASK] film [MASK]")};
  const Json answer = Json::parse(load({}, top(13))->predict(rows).lines[0]);
  for (const Json& mask : answer["masks"]) {
    double sum = 0, last = 1;
    for (const Json& word : mask["top"]) {
      EXPECT_LE(word["probability"].get<double>(), last);
      last = word["probability"];
      sum += last;
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST_F(FillMask, LogitsAreTheOracles) {
  const Path golden = Path(CLOZE_SOURCE_DIR) / "tests/model/golden";
  const ModelFiles files = ModelFiles::open(golden);
  PretrainingModel model(load_config(files), {.masked_words = true, .next_sentence = false});
  Weights weights(golden);
  load_parameters(weights, model.parameters(), 0, 0, [](const std::string&) { return false; });
  model.freeze_with_heads();
  const Json input = files.read_json("input.json");
  std::vector<TokenSequence> sequences;
  std::vector<AskedToken> asked;
  const auto masked = input["masked"].get<std::vector<int32_t>>();
  int32_t begin = 0;
  for (size_t s = 0; s < input["ids"].size(); ++s) {
    sequences.push_back(
        {input["ids"][s].get<std::vector<int32_t>>(), input["segments"][s].get<std::vector<int32_t>>()});
    const int32_t size = static_cast<int32_t>(sequences[s].ids.size());
    for (const int32_t m : masked)
      if (m >= begin && m < begin + size) asked.push_back({s, m - begin});
    begin += size;
  }
  ASSERT_EQ(asked.size(), masked.size()) << "the golden rows are in order";
  const SafetensorsFile outputs(golden / "outputs.safetensors");
  const Tensor expected = outputs.tensor("mlm");
  const size_t V = static_cast<size_t>(expected.shape()[1]);
  std::vector<int> seen(asked.size(), 0);
  visit_masked_logits(model, sequences, asked, [&](size_t i, std::span<const float> logits) {
    ++seen[i];
    ASSERT_EQ(logits.size(), V);
    for (size_t v = 0; v < V; ++v) ASSERT_NEAR(logits[v], expected.data<float>()[i * V + v], 1e-5);
  });
  EXPECT_EQ(seen, std::vector<int>(asked.size(), 1));
}

TEST_F(FillMask, ARowAloneGivesTheSameLine) {
  for (const Precision precision : {Precision::kF32, Precision::kInt8}) {
    LoadOptions options = top(13);
    options.precision = precision;
    const auto predictor = load({}, options);
    std::vector<TextExample> rows;
    for (int i = 0; i < 24; ++i) {
      std::string text = "[MASK]";
      for (int j = 0; j < i % 23; ++j) text += j % 5 == 4 ? " [MASK]" : " film the x";
      rows.push_back(i % 3 == 0 ? masked_row("is good [MASK]", "the x") : masked_row(text.substr(0, 60) + " [MASK]"));
    }
    const Answers together = predictor->predict(rows);
    for (size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(predictor->predict({&rows[i], 1}).lines.at(0), together.lines[i]) << i;
  }
}

TEST_F(FillMask, NoMaskIsAnErrorWithItsLine) {
  const auto predictor = load({});
  const TextExample rows[] = {masked_row("a [MASK]"), masked_row("MASK [ mask ]", std::nullopt, 17)};
  EXPECT_THAT(error_of([&] { predictor->predict(rows); }, ErrorCode::kValue),
              HasSubstr("line 17: the row has no [MASK], so there is nothing to fill"));
  EXPECT_THAT(error_of([&] { predictor->check(rows[1], "in.txt"); }, ErrorCode::kValue), HasSubstr("in.txt line 17: "));
  predictor->check(rows[0], "in.txt");
  predictor->check(predictor->sample_row(), "");
}

TEST_F(FillMask, AMaskThatIsCutOffIsAnError) {
  const TextExample late[] = {masked_row("x x x x x [MASK] x [MASK]", std::nullopt, 3)};
  EXPECT_THAT(error_of([&] { load({}, length(8, "truncate"))->predict(late); }, ErrorCode::kValue),
              HasSubstr("line 3: 1 of 2 [MASK] would be cut off, for the row is longer than 8 tokens"));
  // The end is kept here; what is lost holds no mask.
  const Answers tail = load({}, length(8, "head-tail"))->predict(late);
  EXPECT_EQ(Json::parse(tail.lines.at(0))["truncated"], 2);
  EXPECT_EQ(tail.lengths.truncated, 1);
}

TEST_F(FillMask, OfSeveralWindowsTheOneWithMostContextAnswers) {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(Vocabulary(test::small_pieces()));
  const RowLimits limits{.max_length = 8, .long_texts = LongTexts::kWindow, .stride = 3};
  // Windows of 6 pieces: 0-5, 3-8, 6-11.
  const MaskedText found =
      find_masks(tokenizer, masked_row("[MASK] x x x [MASK] [MASK] x x x x x [MASK]"), limits, 4, "[MASK]");
  ASSERT_EQ(found.row.sequences.size(), 3u);
  std::vector<std::pair<size_t, int32_t>> places;
  for (const Mask& mask : found.masks) places.emplace_back(mask.sequence, mask.position);
  EXPECT_EQ(places, (std::vector<std::pair<size_t, int32_t>>{{0, 1}, {0, 5}, {1, 3}, {2, 6}}));
  for (const Mask& mask : found.masks)
    EXPECT_EQ(found.row.sequences[mask.sequence].ids[static_cast<size_t>(mask.position)], 4);
  const TextExample rows[] = {masked_row("[MASK] x x x [MASK] [MASK] x x x x x [MASK]")};
  const Json answer = Json::parse(load({}, length(8, "window", 1))->predict(rows).lines.at(0));
  EXPECT_EQ(answer["masks"].size(), 4u);
  EXPECT_GT(answer["windows"], 1);
  EXPECT_EQ(answer["truncated"], 0);
}

TEST_F(FillMask, EvaluatesPlainTextByTheStandardRecipe) {
  SmallPretrained small;
  small.always = {"good", "bad"};
  const auto predictor = load(small);
  std::vector<TextExample> rows(50, masked_row("good bad good bad good bad good bad good bad"));
  const Evaluation result = predictor->evaluate(rows, "data");
  // One and a half of ten tokens, rounded: two a row, each as likely as the other of two.
  EXPECT_EQ(metric_value(result.metrics, "masked_tokens"), 100);
  EXPECT_NEAR(metric_value(result.metrics, "loss"), std::log(2), 1e-6);
  EXPECT_NEAR(metric_value(result.metrics, "perplexity"), 2, 1e-5);
  EXPECT_EQ(metric_value(result.metrics, "top5_accuracy"), 1);
  const double accuracy = metric_value(result.metrics, "accuracy");
  EXPECT_GT(accuracy, 0.3);
  EXPECT_LT(accuracy, 0.7);
  EXPECT_EQ(result.metrics, predictor->evaluate(rows, "data").metrics);
  EXPECT_THAT(result.text, HasSubstr("masked tokens          100\n"));
  EXPECT_THAT(error_of(
                  [&] {
                    predictor->evaluate(std::vector<TextExample>{masked_row("[MASK]"), masked_row("")}, "data");
                  },
                  ErrorCode::kValue),
              HasSubstr("data: no row has a token that could be masked"));
}

TEST_F(FillMask, EvaluationMasksWholeWords) {
  // One of eight tokens is wanted; no word has fewer than two.
  const std::vector<TextExample> rows(10, masked_row("films films films films"));
  EXPECT_EQ(metric_value(load({})->evaluate(rows, "data").metrics, "masked_tokens"), 20);
}

TEST_F(FillMask, MissingHeadsAndMasksAreNamed) {
  SmallPretrained small;
  small.heads.masked_words = false;
  EXPECT_THAT(error_of([&] { load(small); }, ErrorCode::kNotFound),
              testing::AllOf(HasSubstr("has no head for fill-mask: it lacks cls.predictions.transform.dense.weight, "),
                             HasSubstr("cls.predictions.bias. Checkpoints of BertForMaskedLM and BertForPreTraining")));
  SmallPretrained unmasked;
  unmasked.pieces[4] = "unmasked";
  EXPECT_THAT(error_of([&] { load(unmasked); }, ErrorCode::kNotFound), HasSubstr("[MASK]"));
}

TEST_F(FillMask, ADecoderOfItsOwnIsRefused) {
  const Path dir = folder_.path() / "model";
  write_pretrained(dir, {});
  const ModelFiles files = ModelFiles::open(dir);
  Json config = files.read_json(ModelFiles::kConfig);
  config["tie_word_embeddings"] = false;
  files.write_json(ModelFiles::kConfig, config);
  const auto load_it = [&] { return find_task("fill-mask").load(files, {}); };
  load_it();
  std::vector<NamedTensor> tensors;
  {
    const SafetensorsFile old(dir / "model.safetensors");
    for (const StoredTensor& stored : old.tensors()) tensors.push_back({stored.name, old.tensor(stored)});
    const Tensor words = old.tensor("bert.embeddings.word_embeddings.weight");
    tensors.push_back({"cls.predictions.decoder.weight", words});
    write_safetensors(dir / "tied", tensors);
    tensors.back().tensor = test::constant(words.shape(), 0.5F);
    write_safetensors(dir / "untied", tensors);
  }
  std::filesystem::rename(dir / "tied", dir / "model.safetensors");
  load_it();
  std::filesystem::rename(dir / "untied", dir / "model.safetensors");
  EXPECT_THAT(error_of(load_it, ErrorCode::kUnsupported), HasSubstr("only tied ones are supported"));
}

}  // namespace
}  // namespace cloze
