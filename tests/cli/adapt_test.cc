// cloze finetune --adapt: masked words on the task's texts first.
#include <gmock/gmock.h>

#include "cloze/base/json.h"
#include "pretrain.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

std::string adapting(const Workplace& place, const std::string& more) {
  return "finetune --task text-classification --model " + kShippedModel + " --train " + sample("reviews_en.train.tsv") +
         " --max-length 32 --steps 2 --batch-size 4 --adapt-epochs 1 --adapt-max-length 32 --output " +
         (place / "out").string() + " " + more;
}

TEST(Adapt, TrainsOnTheTextsOfTablesAndLinesFirst) {
  const Workplace place;
  write_file(place / "more.txt", "a film of rare beauty.\n\nthe plot is thin.\n");
  const std::string command =
      adapting(place, "--adapt " + sample("reviews_en.test.tsv") + " " + (place / "more.txt").string());
  const Outcome trained = place.cloze(command);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("more.txt: 2 documents"));
  EXPECT_THAT(trained.err, HasSubstr("== the task itself"));
  const std::string texts = read_file(place / "out" / "adapted" / "texts-1.txt");
  EXPECT_EQ(std::ranges::count(texts, '\n'), 100);
  EXPECT_THAT(texts, testing::Not(HasSubstr("\t"))) << "no labels";
  const Json run = parse_json(read_file(place / "out" / "run.json"), "run.json");
  EXPECT_EQ(run["adapt"].size(), 2u);
  EXPECT_THAT(run["model"].get<std::string>(), testing::EndsWith("out/adapted"));
  // What was adapted is a model of its own, with other weights than it began with.
  EXPECT_EQ(
      place.cloze("embed --model " + (place / "out" / "adapted").string() + " --input " + (place / "more.txt").string())
          .exit_code,
      0);
  EXPECT_NE(read_file(place / "out" / "adapted" / "model.safetensors"),
            read_file(Path(kShippedModel) / "model.safetensors"));
  const Outcome again = place.cloze(command + " --resume");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("was adapted already"));
  EXPECT_THAT(again.err, HasSubstr("was finished already"));
}

TEST(Adapt, ANewRunReadsItsOwnTexts) {
  const Workplace place;
  write_file(place / "a.TSV", "label\ttext\nup\tfirst words\ndown\tmore of them\n");
  write_file(place / "b.TSV", "label\ttext\nup\tother words\ndown\tno more of them\n");
  for (const char* name : {"a.TSV", "b.TSV"}) {
    const Outcome trained = place.cloze(adapting(place, "--overwrite --adapt " + (place / name).string()));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }
  EXPECT_EQ(read_file(place / "out" / "adapted" / "texts-1.txt"), "other words\nno more of them\n");
}

TEST(Adapt, AFrozenEncoderIsFittedAfterAnInterruptToo) {
  const Workplace place;
  const std::string command = "finetune --task text-classification --encoder frozen --model " + kShippedModel +
                              " --train " + sample("reviews_en.train.tsv") + " --adapt " +
                              sample("reviews_en.test.tsv") + " --adapt-epochs 1 --adapt-max-length 32 --output " +
                              (place / "out").string();
  ASSERT_EQ(place.cloze(command).exit_code, 0);
  std::filesystem::remove(place / "out" / "model.safetensors");  // as if it had been stopped while fitting
  for (const char* name : {"config.json", "run.json"}) std::filesystem::remove(place / "out" / name);
  const Outcome again = place.cloze(command + " --resume");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("was adapted already"));
  EXPECT_TRUE(std::filesystem::exists(place / "out" / "model.safetensors"));
  EXPECT_EQ(place.cloze(command + " --resume").exit_code, 0) << "once more";
  EXPECT_EQ(place.cloze(command + " --label lable").exit_code, 2) << "before the texts are read";
}

TEST(Adapt, AFrozenEncoderIsTheAdaptedOne) {
  const Workplace place;
  const Outcome trained =
      place.cloze("finetune --task text-classification --encoder frozen --model " + kShippedModel + " --train " +
                  sample("reviews_en.train.tsv") + " --adapt " + sample("reviews_en.test.tsv") +
                  " --adapt-epochs 1 --adapt-max-length 32 --output " + (place / "out").string());
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Json adapted = parse_json(read_file(place / "out" / "adapted" / "config.json"), "config.json");
  EXPECT_EQ(adapted["architectures"][0], "BertForMaskedLM");
  EXPECT_TRUE(std::filesystem::exists(place / "out" / "classifier.json"));
}

TEST(Adapt, MistakesAreFoundBeforeTheTextsAreRead) {
  const Workplace place;
  const auto expect = [&](const std::string& command, int exit_code, const char* words) {
    const Outcome outcome = place.cloze(command);
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(place / "out" / "adapted" / "model.safetensors"));
  };
  expect("finetune --task text-classification --model " + kShippedModel + " --train x.tsv --output " +
             (place / "out").string() + " --adapt-epochs 2",
         2, "--adapt-epochs goes with --adapt only");
  const std::string texts = "--adapt " + sample("reviews_en.test.tsv");
  expect(adapting(place, texts + " --label nothing"), 2, "nothing");
  expect(adapting(place, texts + " --adapt-max-length 4"), 2, "--adapt-max-length");
  expect(adapting(place, "--adapt " + (place / "absent.txt").string()), 1, "absent.txt");
}

}  // namespace
}  // namespace cloze::test
