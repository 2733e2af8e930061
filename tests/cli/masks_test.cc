// fill-mask and next-sentence-prediction in the program, from outside.
#include <gmock/gmock.h>

#include "cloze/base/json.h"
#include "hostile.h"
#include "tests/task/small_pretrained.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

class Masks : public ::testing::Test {
 protected:
  std::string model(const SmallPretrained& small = {}) {
    write_pretrained(place_ / "m", small);
    return (place_ / "m").string();
  }
  Outcome run(const std::string& command, const std::string& model, const std::string& more,
              const std::string& input = "") {
    return place_.cloze(command + " --threads 1 --model " + model + " " + more, input);
  }
  HostilePlace place_;
};

TEST_F(Masks, FillsThem) {
  SmallPretrained small;
  small.architecture = "BertForMaskedLM";
  small.heads.next_sentence = false;
  small.always = {"good"};
  const Outcome result = run("predict", model(small), "--top-k 1", "the film is [MASK] .\n[MASK][MASK]\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            R"({"text": "the film is good .", "masks": [{"in": "text", "offset": [12, 18], "top": [{"token": "good", )"
            R"("id": 5, "probability": 1}]}], "tokens": 7, "windows": 1, "truncated": 0})"
            "\n"
            R"({"text": "goodgood", "masks": [{"in": "text", "offset": [0, 6], "top": [{"token": "good", "id": 5, )"
            R"("probability": 1}]}, {"in": "text", "offset": [6, 12], "top": [{"token": "good", "id": 5, )"
            R"("probability": 1}]}], "tokens": 4, "windows": 1, "truncated": 0})"
            "\n");
}

TEST_F(Masks, AnswersWhatCameBeforeARowWithoutMask) {
  const std::string dir = model();
  const Outcome result = run("predict", dir, "--task fill-mask", "a [MASK]\nb [MASK]\nnone\n[MASK]\n");
  expect_outcome(place_, result, 1, {"standard input line 3: the row has no [MASK]"});
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 2);
  std::string longer = "x";
  for (int i = 0; i < 40; ++i) longer += " x";
  const Outcome cut = run("predict", dir, "--task fill-mask", longer + " [MASK]\n");
  expect_outcome(place_, cut, 1, {"line 1: 1 of 1 [MASK] would be cut off, for the row is longer than 32 tokens"});
  const Outcome windows = run("predict", dir, "--task fill-mask --long window", longer + " [MASK]\n");
  expect_outcome(place_, windows, 0, {"1 of 1 rows were read in several windows"});
}

TEST_F(Masks, EvaluatesPlainText) {
  const Path text = place_.write("text.txt", "the film is good .\nthe film is bad .\n");
  const Outcome result = run("evaluate", model(), "--task fill-mask --data " + text.string());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json metrics = Json::parse(result.out);
  EXPECT_EQ(metrics["rows"], 2);
  EXPECT_EQ(metrics["masked_tokens"], 2);
  for (const char* name : {"loss", "perplexity", "accuracy", "top5_accuracy"})
    EXPECT_TRUE(metrics[name].is_number()) << name;
  EXPECT_EQ(run("evaluate", model(), "--task fill-mask --data " + text.string()).out, result.out);
  expect_outcome(place_, run("evaluate", model(), "--task fill-mask --label x --data " + text.string()), 2,
                 {"--label x: this task reads no labels"});
}

TEST_F(Masks, NextSentence) {
  SmallPretrained small;
  small.architecture = "BertForNextSentencePrediction";
  small.heads.masked_words = false;
  small.next_logits = {-1000, 0};
  const std::string dir = model(small);
  const Path rows = place_.write("rows.tsv", "text\ttext_pair\tlabel\nthe film\tis good\t0\nx\tx\tis_next\n");
  const Outcome predicted = run("predict", dir, "--input " + rows.string());
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  EXPECT_THAT(predicted.out,
              ::testing::StartsWith(R"({"label": "not_next", "score": 1, "scores": {"is_next": 0, "not_next": 1}, )"
                                    R"("tokens": 7, "windows": 1, "truncated": 0})"));
  const Outcome evaluated = run("evaluate", dir, "--data " + rows.string());
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], 0.5);
  EXPECT_THAT(evaluated.err, HasSubstr("truth \\ predicted  is_next  not_next"));
  const Path single = place_.write("single.tsv", "text\tlabel\nthe film\t0\n");
  expect_outcome(place_, run("predict", dir, "--input " + single.string()), 2, {"text pair"});
  expect_outcome(place_, run("predict", dir, "--top-k 2 --input " + rows.string()), 2, {"--top-k is for fill-mask"});
}

TEST_F(Masks, TheTaskMustBeClear) {
  const std::string dir = model();
  expect_outcome(place_, run("predict", dir, "", "x\n"), 2,
                 {"a BertForPreTraining has heads for several tasks; say which one: --task fill-mask or --task "
                  "next-sentence-prediction"});
  expect_outcome(place_, run("predict", dir, "--task text-classification", "x\n"), 1, {"has no classifier"});
  for (const char* k : {"0", "14", "-3"})
    expect_outcome(place_, run("predict", dir, std::string("--task fill-mask --top-k ") + k, "[MASK]\n"), 2,
                   {"--top-k must be 1 to 13, the size of the vocabulary"});
  const HostilePlace classifier;
  const std::string other = (classifier / "m").string();
  expect_outcome(classifier, classifier.cloze("predict --task fill-mask --model " + other, "[MASK]\n"), 1,
                 {"has no head for fill-mask: it lacks cls.predictions.transform.dense.weight"});
  expect_outcome(classifier, classifier.cloze("predict --top-k 1 --model " + other, "x\n"), 2,
                 {"--top-k is for fill-mask; text-classification answers with the scores of all labels"});
  expect_outcome(classifier, classifier.cloze("finetune --task fill-mask --model " + other + " --train x --output y"),
                 2, {"the task \"fill-mask\" is not trained on labelled rows", "cloze pretrain"});
}

}  // namespace
}  // namespace cloze::test
