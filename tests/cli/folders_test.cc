// What stands in an output folder already, or in a model's own, is never shadowed, lost or taken for something new.
#include "cloze/base/json.h"
#include "hostile.h"
#include "tuned_model.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kTrain = "$CLOZE finetune --task text-classification --model $M --train ${D}t.tsv --epochs 1 ";
const std::string kEnsemble = kTunedModel + "$CLOZE ensemble --models ${D}tuned ${D}tuned --output ${D}both; ";

TEST(Folders, AnEnsembleIsNotTrainedInto) {
  const HostilePlace place;
  const Outcome made = place.run(kEnsemble + kTrain + "--output ${D}both");
  expect_outcome(place, made, 2, {"%both already holds ensemble.json"});
  expect_outcome(place, place.run(kTrain + "--output ${D}both --resume"), 2, {"holds an ensemble, but no run"});
  EXPECT_TRUE(std::filesystem::exists(place / "both" / "ensemble.json"));
  expect_outcome(place, place.run(kTrain + "--output ${D}both --overwrite"), 0, {});
  EXPECT_FALSE(std::filesystem::exists(place / "both" / "ensemble.json")) << "it would answer in the new model's place";
  const Outcome seeds = place.run("rm -r ${D}both; $CLOZE ensemble --models ${D}tuned ${D}tuned --output ${D}both; " +
                                  kTrain + "--seeds 2 --output ${D}both --overwrite");
  expect_outcome(place, seeds, 0, {});
  EXPECT_FALSE(std::filesystem::exists(place / "both" / "ensemble.json"));
}

TEST(Folders, SeedsLeaveAModelAlone) {
  const HostilePlace place;
  place.run(kTunedModel);
  const std::string before = read_file(place / "tuned" / "model.safetensors");
  const Outcome outcome = place.run(kTrain + "--seeds 2 --output ${D}tuned");
  expect_outcome(place, outcome, 2, {"%tuned already holds model.safetensors"});
  EXPECT_EQ(read_file(place / "tuned" / "model.safetensors"), before);
  EXPECT_FALSE(std::filesystem::exists(place / "tuned" / "seed-42"));
  const Outcome many = place.run(kTrain + "--seeds 2 --seed 9223372036854775807 --output ${D}many");
  expect_outcome(place, many, 2, {"leaves no room for 2 seeds"});
}

TEST(Folders, TheBestSeedBringsWhatItReads) {
  const HostilePlace place;
  const Outcome made = place.run(
      "printf 'label\\ttext\\tstars\\nup\\tgood\\t5\\ndown\\tbad\\t1\\nup\\tx\\t4\\ndown\\ty\\t2\\n' > ${D}t.tsv; " +
      kTrain +
      "--seeds 2 --features numeric=stars encoder=$M --output ${D}n && $CLOZE predict --model ${D}n --input ${D}t.tsv");
  expect_outcome(place, made, 0, {});
  EXPECT_EQ(std::ranges::count(made.out, '\n'), 4);
  EXPECT_TRUE(std::filesystem::exists(place / "n" / "second-encoder" / "model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(place / "n" / "metrics.jsonl"));
}

TEST(Folders, TheModelToStartFromIsNotTheOutput) {
  const HostilePlace place;
  place.run(kTunedModel);
  const std::string again = "$CLOZE finetune --task text-classification --train ${D}t.tsv --epochs 1 --overwrite ";
  expect_outcome(place, place.run(again + "--model ${D}tuned --output ${D}tuned/"), 2,
                 {"is --model itself, which a stopped run would lose"});
  expect_outcome(place, place.run(again + "--model $M --teacher ${D}tuned --output ${D}tuned"), 2,
                 {"is --teacher itself"});
  EXPECT_TRUE(std::filesystem::exists(place / "tuned" / "model.safetensors"));
}

TEST(Folders, NothingIsWrittenIntoTheModelThatIsRead) {
  const HostilePlace place;
  place.run(kTunedModel);
  for (const char* command : {"quantize --model ${D}tuned", "prune --keep heads=0.5 --model ${D}tuned/",
                              "convert --dense --model ${D}tuned", "ensemble --models ${D}tuned ${D}tuned"}) {
    const Outcome outcome = place.run(std::string("$CLOZE ") + command + " --output ${D}tuned/inside");
    expect_outcome(place, outcome, 2, {"whose files would go there"});
    EXPECT_FALSE(std::filesystem::exists(place / "tuned" / "inside")) << command;
  }
}

TEST(Folders, OtherSeedsAreNotCarriedAlong) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kTrain + "--seeds 2 --output ${D}n && $CLOZE quantize --model ${D}n --output ${D}q");
  expect_outcome(place, made, 0, {});
  for (const char* name : {"seed-42", "seed-43", "seeds.json", "run.json"}) {
    EXPECT_TRUE(std::filesystem::exists(place / "n" / name)) << name;
    EXPECT_FALSE(std::filesystem::exists(place / "q" / name)) << name;
  }
}

TEST(Folders, AVocabularyOfAModelIsLeftAlone) {
  const HostilePlace place;
  const Outcome outcome = place.run(
      "cp -r $M ${D}n; cp ${D}n/vocab.txt ${D}before; echo one two > ${D}c.txt; "
      "$CLOZE vocab train --corpus ${D}c.txt --size 300 --output ${D}n/vocab.txt");
  expect_outcome(place, outcome, 2, {"holds a model (model.safetensors), which another vocabulary would spoil"});
  EXPECT_EQ(read_file(place / "n" / "vocab.txt"), read_file(place / "before"));
}

TEST(Folders, AnotherTeacherIsNoticed) {
  const HostilePlace place;
  const Outcome made = place.run(kTunedModel + kTrain + "--teacher ${D}tuned --output ${D}a && " + kTrain +
                                 "--teacher ${D}a --output ${D}b");
  expect_outcome(place, made, 0, {});
  const auto teacher = [&](const char* name) {
    return Json::parse(read_file(place / name / "run.json"))["inputs"]["teacher"];
  };
  ASSERT_EQ(teacher("a").size(), 1);
  EXPECT_NE(teacher("a"), teacher("b"));
  const Outcome changed =
      place.run("rm -r ${D}tuned; mv ${D}b ${D}tuned; " + kTrain + "--teacher ${D}tuned --output ${D}a --resume");
  expect_outcome(place, changed, 2, {"teacher"});
}

}  // namespace
}  // namespace cloze::test
