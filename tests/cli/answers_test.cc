// Rows and models that would be answered wrongly are refused in words, and text of files does not steer a terminal.
#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// $M with members of config.json changed, in ${D}c.
void change_config(const HostilePlace& place, const std::function<void(Json&)>& change) {
  TinyModel model = TinyModel::get();
  model.edit_config(change);
  model.write(place / "c");
}

TEST(Answers, ModelsThatGiveNumbersOrSeveralLabelsAreRefused) {
  const HostilePlace place;
  for (const char* problem : {"regression", "multi_label_classification"}) {
    change_config(place, [&](Json& config) {
      config["problem_type"] = problem;
      config.erase("cloze");
    });
    expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}c"), 1,
                   {"answers with one class of several"});
  }
  change_config(place, [](Json& config) { config["problem_type"] = "single_label_classification"; });
  expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}c"), 0, {});
  // Trained for one class of several, it is a model of that; so is one that Cloze has trained already.
  change_config(place, [](Json& config) { config["problem_type"] = "regression"; });
  expect_outcome(
      place,
      place.run("printf 'label\\ttext\\nup\\tgood\\ndown\\tbad\\n' > ${D}t.tsv; $CLOZE finetune --task "
                "text-classification --model ${D}c --train ${D}t.tsv --epochs 1 --output ${D}n && echo good | "
                "$CLOZE predict --model ${D}n"),
      0, {});
}

const std::string kRows =
    "printf 'label\\ttext\\tstars\\nup\\tgood\\t5\\ndown\\tbad\\t1\\nup\\tx\\t4\\ndown\\ty\\t2\\n' > ${D}t.tsv; ";

TEST(Answers, ANumberBeyondReasonIsToldWithItsLine) {
  for (const char* how : {"--encoder frozen", "--epochs 1"}) {
    const HostilePlace place;
    expect_outcome(place,
                   place.run(kRows + "$CLOZE finetune --task text-classification --model $M --train ${D}t.tsv " + how +
                             " --features numeric=stars --output ${D}o"),
                   0, {});
    const Outcome answered = place.run(
        "printf 'text\\tstars\\ngood\\t3\\nbad\\t1e300\\n' > ${D}u.tsv; $CLOZE predict --model ${D}o --input "
        "${D}u.tsv");
    expect_outcome(place, answered, 1, {"%u.tsv line 3: column \"stars\"", "standard deviations"});
    EXPECT_EQ(std::ranges::count(answered.out, '\n'), 1) << "the row before it is answered";
  }
}

TEST(Answers, AFeatureIsGivenByNameWhereThereAreNames) {
  const HostilePlace place;
  const std::string fit = "$CLOZE finetune --task text-classification --encoder frozen --model $M --output ${D}o ";
  expect_outcome(place, place.run(kRows + fit + "--train ${D}t.tsv --features numeric=3"), 2,
                 {"names the column \"stars\" by its number 3; give its name"});
  expect_outcome(place,
                 place.run("tail -n +2 ${D}t.tsv > ${D}bare.tsv; " + fit +
                           "--train ${D}bare.tsv --no-header --label 1 --text 2 --features numeric=3 && "
                           "$CLOZE predict --model ${D}o --input ${D}t.tsv"),
                 0, {});
}

// More rows than are joined at a time, sorted by class, so that answers in the wrong places are wrong ones.
TEST(Answers, ManyJoinedRowsAreAnsweredEachInItsPlace) {
  const HostilePlace place;
  const Outcome all = place.run(
      kRows +
      "$CLOZE finetune --task text-classification --encoder frozen --model $M --train ${D}t.tsv --features "
      "numeric=stars --output ${D}o && awk 'BEGIN { print \"label\\ttext\\tstars\"; for (i = 0; i < 700; ++i) "
      "print (i < 350 ? \"up\\tgood\\t5\" : \"down\\tbad\\t1\") }' > ${D}u.tsv && $CLOZE evaluate --model ${D}o "
      "--data ${D}u.tsv");
  expect_outcome(place, all, 0, {});
  EXPECT_EQ(Json::parse(all.out)["accuracy"], 1);
}

TEST(Answers, TrainingOptionsAreRefusedWhereTheEncoderIsFrozen) {
  const HostilePlace place;
  for (const char* option : {"--keep-layers 1", "--r-drop 1", "--temperature 3", "--teacher-weight 0.3"})
    expect_outcome(place,
                   place.run(kRows +
                             "$CLOZE finetune --task text-classification --encoder frozen --model $M --train ${D}t.tsv "
                             "--output ${D}o " +
                             option),
                   2, {"belongs to training the encoder"});
}

TEST(Answers, AStackIsNotFittedOnOtherLengths) {
  const HostilePlace place;
  expect_outcome(
      place,
      place.run(kRows +
                "$CLOZE ensemble --models $M $M --method stacking --train ${D}t.tsv --max-length 8 --output ${D}e"),
      2, {"fitted on answers that predict does not get"});
}

TEST(Answers, TextsOfFilesDoNotSteerTheTerminal) {
  const HostilePlace place;
  change_config(place, [](Json& config) { config["architectures"][0] = "\x1b[2JBert"; });
  const Outcome info = place.run("$CLOZE info ${D}c");
  expect_outcome(place, info, 0, {});
  EXPECT_THAT(info.out, HasSubstr("\\x1b[2J"));
  EXPECT_THAT(info.out, Not(HasSubstr("\x1b")));
  const Outcome explained =
      place.run("sed -i 's/^z$/\x1b[2J/' ${D}c/vocab.txt; $CLOZE tokenize --model ${D}c --explain --text good");
  EXPECT_THAT(explained.out, Not(HasSubstr("\x1b")));
}

TEST(Answers, AttentionOfALongTextIsCutAndSaidSo) {
  const HostilePlace place;
  const std::string text =
      "echo good x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z x y z";
  expect_outcome(place, place.run(text + " | $CLOZE embed --attention --model $M"), 0, {"1 of 1 row"});
}

TEST(Answers, MistakesOfAFirstTryAreToldInWords) {
  const HostilePlace place;
  expect_outcome(place, place.run("$CLOZE"), 2, {"no command given", "There are: pretrain, finetune"});
  expect_outcome(place, place.run("$CLOZE vocab"), 2, {"cloze vocab needs a command", "There are: train, "});
  expect_outcome(place, place.run("$CLOZE info"), 2, {"give a model directory: cloze info DIR"});
  expect_outcome(place, place.run("$CLOZE bench --model $M --length far"), 2, {"--length takes a number, got \"far\""});
  expect_outcome(place, place.run("$CLOZE compare $M ${D}nothing"), 1, {"%nothing"});
}

}  // namespace
}  // namespace cloze::test
