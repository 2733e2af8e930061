// --profile: a table on stderr, and nothing else is another.
#include "cloze/base/json.h"
#include "program.h"

namespace cloze::test {
namespace {

class ProfileFlag : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    place = new Workplace;
    trained =
        place->cloze(quick_training((*place / "model").string(), "--profile --dev " + sample("reviews_en.test.tsv")));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }
  static void TearDownTestSuite() { delete place; }
  static std::string model() { return (*place / "model").string(); }
  static void expect_words(const Outcome& outcome, std::initializer_list<const char*> words) {
    for (const char* word : words) EXPECT_NE(outcome.err.find(word), std::string::npos) << word << "\n" << outcome.err;
  }
  static inline Workplace* place = nullptr;
  static inline Outcome trained;
};

TEST_F(ProfileFlag, FinetuneTellsAndTrainsTheSameBits) {
  EXPECT_EQ(trained.out, "");
  expect_words(trained,
               {"\nprofile of ", "\nload ", "\ntokenize ", "\nforward ", "\nbackward ", "\noptimizer ", "\nevaluate ",
                "\nsave ", "\nlinear 32x128 ", "\nlinear_backward 128x32 ", "\nattention ", "\nattention_backward ",
                "\nadamw ", "\nsum_squares ", "\noutside of kernels ", "\nprofiling itself: "});
  const std::string plain = (*place / "plain").string();
  const Outcome without = place->cloze(quick_training(plain, "--dev " + sample("reviews_en.test.tsv")));
  EXPECT_EQ(without.err.find("profiling itself"), std::string::npos) << without.err;
  for (const char* name : {"/model.safetensors", "/metrics.jsonl"})
    EXPECT_EQ(read_file(plain + name), read_file(model() + name)) << name;
}

TEST_F(ProfileFlag, PredictAndEvaluateAnswerTheSame) {
  const std::string rows = "great\nbad and broken\n";
  const Outcome answers = place->cloze("predict --profile --model " + model(), rows);
  EXPECT_EQ(answers.exit_code, 0);
  EXPECT_EQ(answers.out, place->cloze("predict --model " + model(), rows).out);
  expect_words(answers, {"\nload ", "\nread ", "\ntokenize ", "\nforward ", "\noutput ", "\nlinear 32x128 "});
  const std::string evaluate = "evaluate --model " + model() + " --data " + sample("reviews_en.test.tsv");
  const Outcome metrics = place->cloze(evaluate + " --profile");
  EXPECT_EQ(metrics.out, place->cloze(evaluate).out);
  expect_words(metrics, {"\nevaluate ", "\nlinear 32x128 "});
}

TEST_F(ProfileFlag, BenchTellsInEveryMode) {
  const std::string input = " --input " + sample("reviews_en.test.tsv");
  const struct {
    std::string mode, word;
  } cases[] = {{"infer", "\nlinear 32x128 "},
               {"train", "\noptimizer "},
               {"tokenize" + input, "\ntokenize "},
               {"start", "\nforward "}};
  for (const auto& one : cases) {
    const Outcome timed =
        place->cloze("bench --profile --runs 2 --length 16 --model " + model() + " --mode " + one.mode);
    EXPECT_EQ(timed.exit_code, 0) << timed.err;
    EXPECT_TRUE(parse_json(timed.out, "stdout").contains("peak_bytes")) << timed.out;
    expect_words(timed, {"\nprofiling itself: ", one.word.c_str()});
  }
}

TEST_F(ProfileFlag, AFailureTellsNoProfile) {
  const Outcome failed = place->cloze("predict --profile --model /nowhere");
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_EQ(failed.err.find("profile of"), std::string::npos) << failed.err;
}

}  // namespace
}  // namespace cloze::test
