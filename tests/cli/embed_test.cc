// cloze embed through the program.
#include "cloze/base/json.h"
#include "cloze/io/npy.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

TEST(EmbedCommand, WritesAMatrixOrLinesOfTheSameNumbers) {
  const HostilePlace place;
  const Outcome lines = place.run("printf 'good bad\\nx\\n' | $CLOZE embed --model $M --pooling cls,mean --normalize");
  expect_outcome(place, lines, 0, {});
  const Outcome matrix =
      place.run("printf 'good bad\\nx\\n' | $CLOZE embed --model $M --pooling cls,mean --normalize --output ${D}v.npy");
  expect_outcome(place, matrix, 0, {"2 vectors of width 16 are in %v.npy"});
  const Tensor vectors = read_npy(place / "v.npy");
  ASSERT_EQ(vectors.shape(), Shape({2, 16}));
  const std::string second = lines.out.substr(lines.out.find('\n') + 1);
  const auto expected = Json::parse(second)["vector"].get<std::vector<float>>();
  EXPECT_TRUE(std::ranges::equal(vectors.rows(1, 2).values<float>(), expected));
}

TEST(EmbedCommand, WordsOfAMatrixStandBesideIt) {
  const HostilePlace place;
  const Outcome outcome = place.run(
      "printf 'good bad\\n\\nx\\n' | $CLOZE embed --model $M --unit word --output ${D}v.npy && cat ${D}v.jsonl");
  expect_outcome(place, outcome, 0, {"3 vectors of width 8", "what they stand for in %v.jsonl"});
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 3);
  EXPECT_EQ(read_npy(place / "v.npy").shape(), Shape({3, 8}));
}

TEST(EmbedCommand, AWhiteningIsKeptAndAppliedAgain) {
  const HostilePlace place;
  const std::string input = "good\nbad\nx y\nz\ngood good\n";
  const Outcome fitted = place.run(
      "$CLOZE embed --model $M --whiten --whiten-width 2 --save-whitening ${D}w.safetensors --output ${D}a.npy", input);
  expect_outcome(place, fitted, 0, {"5 vectors of width 2"});
  expect_outcome(place, place.run("$CLOZE embed --model $M --whitening ${D}w.safetensors --output ${D}b.npy", input), 0,
                 {"5 vectors of width 2"});
  EXPECT_EQ(read_file(place / "a.npy"), read_file(place / "b.npy"));
  expect_outcome(place, place.run("$CLOZE embed --model $M --pooling cls,mean --whitening ${D}w.safetensors", input), 2,
                 {"fitted on vectors of width 8, but these have 16"});
  expect_outcome(place, place.run("$CLOZE embed --model $M --whiten --whiten-width 5 --output ${D}c.npy", input), 1,
                 {"directions only"});
  EXPECT_FALSE(std::filesystem::exists(place / "c.npy"));
}

TEST(EmbedCommand, NoRowsMakeAnEmptyMatrix) {
  const HostilePlace place;
  expect_outcome(place, place.run("$CLOZE embed --model $M --output ${D}v.npy < /dev/null"), 0,
                 {"0 vectors of width 8"});
  EXPECT_EQ(read_npy(place / "v.npy").shape(), Shape({0, 8}));
}

TEST(EmbedCommand, AttentionHasALineARow) {
  const HostilePlace place;
  const Outcome outcome = place.run("printf 'good bad\\nx\\n' | $CLOZE embed --model $M --attention");
  expect_outcome(place, outcome, 0, {});
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 2);
  EXPECT_THAT(outcome.out, HasSubstr(R"({"tokens": ["[CLS]", "good", "bad", "[SEP]"], "segments": [0, 0, 0, 0])"));
}

TEST(EmbedCommand, WrongOptionsAreUsage) {
  const HostilePlace place;
  const auto expect_usage = [&](const std::string& options, const char* words) {
    const Outcome outcome = place.run("echo good | $CLOZE embed --model $M " + options);
    expect_outcome(place, outcome, 2, {words});
    EXPECT_EQ(outcome.out, "");
  };
  expect_usage("--pooling meen", "did you mean mean?");
  expect_usage("--pooling layer=2", "0 (embeddings) to 1");
  expect_usage("--output v.csv", "must end in .npy or .jsonl");
  expect_usage("--whiten --whitening w.safetensors", "one of them");
  expect_usage("--save-whitening w.safetensors", "go with --whiten");
  expect_usage("--whitening w.bin", "a whitening is a .safetensors file");
  expect_usage("--attention --normalize", "in place of vectors");
  expect_usage("--unit word --pooling max", "only layers can be chosen");
}

}  // namespace
}  // namespace cloze::test
