// cloze finetune --encoder frozen through the program.
#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kFitFrozen =
    "printf 'label\\ttext\\nup\\tgood x\\ndown\\tbad x\\nup\\tgood y\\ndown\\tbad y\\n' > ${D}t.tsv; "
    "$CLOZE finetune --task text-classification --encoder frozen --model $M --train ${D}t.tsv --output ${D}out ";

TEST(FrozenCommand, FitsEvaluatesAndPredictsAsAnyModel) {
  const HostilePlace place;
  for (const std::string classifier : {"linear", "svm", "knn", "prototype", "mlp"}) {
    const Outcome fitted = place.run(kFitFrozen + "--overwrite --dev ${D}t.tsv --classifier " + classifier);
    expect_outcome(place, fitted, 0, {classifier + ": ", "done: vectors in", "dev accuracy", "the model is in %out"});
    const Outcome evaluated = place.run("$CLOZE evaluate --model ${D}out --data ${D}t.tsv");
    expect_outcome(place, evaluated, 0, {});
    const Json run = parse_json(read_file(place / "out" / "run.json"), "run.json");
    EXPECT_EQ(run["classifier"], classifier);
    EXPECT_EQ(run["encoder"], "frozen");
    EXPECT_FALSE(run.contains("epochs")) << "which trains encoders";
    EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], run["finished"]["best"]["dev_accuracy"]);
    const Outcome predicted = place.run("echo good | $CLOZE predict --model ${D}out");
    expect_outcome(place, predicted, 0, {});
    EXPECT_THAT(Json::parse(predicted.out)["scores"].size(), 2);
  }
  expect_outcome(place, place.run("$CLOZE info --model ${D}out"), 0, {});
  // Training all of it from there starts a classifier of its own.
  expect_outcome(place,
                 place.run("$CLOZE finetune --task text-classification --model ${D}out --train ${D}t.tsv --epochs 1 "
                           "--output ${D}full && echo good | $CLOZE predict --model ${D}full"),
                 0, {});
}

TEST(FrozenCommand, WrongOptionsAreUsage) {
  const HostilePlace place;
  const auto expect_usage = [&](const std::string& options, const char* words) {
    expect_outcome(place, place.run(kFitFrozen + options), 2, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "out"));
  };
  expect_usage("--classifier liner", "did you mean linear?");
  expect_usage("--epochs 3", "--epochs belongs to training the encoder");
  expect_usage("--tune lora", "--tune belongs to training the encoder");
  expect_usage("--resume", "--resume belongs to training the encoder");
  expect_usage("--pooling auto", "give --dev");
  expect_usage("--class-weights balanced --classifier knn", "goes with --classifier linear, svm, prototype and mlp");
  expect_usage("--pooling layer=9", "0 (embeddings) to 1");
  const std::string plain = "$CLOZE finetune --task text-classification --model $M --train x.tsv --output ${D}out ";
  expect_outcome(place, place.run(plain + "--encoder thawed"), 2, {"must be trained or frozen"});
  expect_outcome(place, place.run(plain + "--k 3"), 2, {"--k goes with --encoder frozen only"});
}

// Of 2,500 rows 2,000 are asked; of the six of a class each fold that a fit asks for must have one.
TEST(FrozenCommand, ThePoolingIsChosenWithARareClassToo) {
  const HostilePlace place;
  const Outcome made = place.run(
      "awk 'BEGIN { print \"label\\ttext\"; for (i = 0; i < 2494; ++i) print (i % 2 ? \"up\\tgood x\" : \"down\\tbad "
      "x\"); "
      "for (i = 0; i < 6; ++i) print \"rare\\ty z\" }' > ${D}r.tsv; "
      "$CLOZE finetune --task text-classification --encoder frozen --classifier linear --pooling auto --model $M "
      "--train ${D}r.tsv --dev ${D}r.tsv --output ${D}f");
  expect_outcome(place, made, 0, {"dev rows asked", "layer=0"});
  const Outcome rare = place.run("printf 'y z\\n' | $CLOZE predict --model ${D}f");
  EXPECT_EQ(Json::parse(rare.out)["label"], "rare") << rare.err;
}

TEST(FrozenCommand, BadRowsAreSaid) {
  const HostilePlace place;
  const auto expect_failure = [&](const std::string& options, const char* words) {
    expect_outcome(place, place.run(kFitFrozen + options), 1, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "out" / "model.safetensors"));
  };
  expect_failure("--folds 3", "class \"down\" has 2 row(s), fewer than the 3 folds");
  expect_failure("--classifier knn --k 9", "there are 4 rows only");
  for (const char* classifier : {"linear", "svm", "prototype", "mlp"})
    expect_outcome(
        place, place.run(kFitFrozen + "--overwrite --class-weights balanced --classifier " + std::string(classifier)),
        0, {"done"});
}

TEST(FrozenCommand, ADryRunWritesNothing) {
  const HostilePlace place;
  const Outcome outcome = place.run(kFitFrozen + "--dry-run --feature-cache ${D}cache");
  expect_outcome(place, outcome, 0, {"nothing was written"});
  EXPECT_EQ(Json::parse(outcome.out)["inputs"]["train_rows"], 4);
  EXPECT_EQ(place.files().size(), 5u) << "the model's three files, its folder and the rows";
}

}  // namespace
}  // namespace cloze::test
