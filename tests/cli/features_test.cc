// finetune --encoder frozen --features through the program.
#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kFeatureRows =
    "printf 'label\\ttext\\tstars\\tshop\\nup\\tgood x\\t5\\ta\\ndown\\tbad x\\t1\\tb\\nup\\tgood y\\t\\ta\\n"
    "down\\tbad y\\t2\\ta\\n' > ${D}t.tsv; printf 'good\\t1\\nbad\\t-1\\n' > ${D}words; ";
const std::string kFitFeatures =
    kFeatureRows +
    "$CLOZE finetune --task text-classification --encoder frozen --model $M --train ${D}t.tsv "
    "--dev ${D}t.tsv --output ${D}out ";
const std::string kAllFeatures =
    "--features numeric=stars category=shop lexicon=${D}words tfidf-words tfidf-chars=5 encoder=$M:cls ";

TEST(FeaturesCommand, AllKindsAreJoinedSavedAndRead) {
  const HostilePlace place;
  const Outcome fitted = place.run(kFitFeatures + kAllFeatures + "--feature-cache ${D}cache; rm ${D}words");
  expect_outcome(place, fitted, 0,
                 {"numeric stars: mean 2.667, deviation 1.7; missing in 1 of 4 rows", "category shop: 2 values",
                  "words in 4 of 4 rows", "tfidf-words: ", "tfidf-chars: 5 terms", "vectors of 8",
                  "linear: 32 numbers on vectors of 31", "dev accuracy 1.0000"});
  const Outcome evaluated = place.run("$CLOZE evaluate --model ${D}out --data ${D}t.tsv");
  expect_outcome(place, evaluated, 0, {});
  EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], 1.0);
  const Outcome predicted = place.run("$CLOZE predict --model ${D}out --input ${D}t.tsv");
  expect_outcome(place, predicted, 0, {});
  EXPECT_EQ(std::ranges::count(predicted.out, '\n'), 4);
  const Outcome json = place.run(
      "echo '{\"text\": \"good\", \"stars\": null, \"shop\": \"new\"}' | $CLOZE predict --model ${D}out --format "
      "jsonl");
  expect_outcome(place, json, 0, {});
  EXPECT_EQ(Json::parse(json.out)["label"], "up");
  expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}out"), 2,
                 {"it has no columns and so no column of that name"});
  expect_outcome(place, place.run("cut -f 1-3 ${D}t.tsv > ${D}u.tsv; $CLOZE predict --model ${D}out --input ${D}u.tsv"),
                 2,
                 {"%u.tsv: there is no column \"shop\" (--features)", "columns found: \"label\", \"text\", \"stars\""});
  expect_outcome(place, place.run("$CLOZE bench --model ${D}out --mode start"), 0, {});
}

const std::string kTuneFeatures =
    kFeatureRows +
    "$CLOZE finetune --task text-classification --model $M --train ${D}t.tsv --dev ${D}t.tsv "
    "--output ${D}out --learning-rate 1e-3 ";

TEST(FeaturesCommand, TrainingReadsThemBesideTheText) {
  const HostilePlace place;
  expect_outcome(
      place, place.run(kTuneFeatures + kAllFeatures + "--epochs 30 --r-drop 1 --feature-cache ${D}cache; rm ${D}words"),
      0,
      {"numeric stars: mean 2.667", "category shop: 2 values", "tfidf-chars: 5 terms", "vectors of 8",
       "initialised anew, not in the file: classifier.weight, classifier.bias, cloze.numbers.weight"});
  const Outcome evaluated = place.run("$CLOZE evaluate --model ${D}out --data ${D}t.tsv");
  expect_outcome(place, evaluated, 0, {});
  EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], 1.0);
  const std::string ask =
      "printf '{\"text\": \"hm\", \"stars\": %s, \"shop\": \"a\"}\\n' 5 1 | $CLOZE predict --model ${D}out "
      "--format jsonl";
  const Outcome predicted = place.run(ask);  // the numbers alone decide
  expect_outcome(place, predicted, 0, {});
  EXPECT_THAT(predicted.out,
              ::testing::MatchesRegex("[^\n]*\"label\": *\"up\"[^\n]*\n[^\n]*\"label\": *\"down\"[^\n]*\n"));
  expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}out"), 2, {"it has no columns"});
  expect_outcome(place, place.run("$CLOZE bench --model ${D}out --mode start"), 0, {});
  expect_outcome(place, place.run(kTuneFeatures + "--epochs 30 --resume --features numeric=stars"), 2, {"features"});
  expect_outcome(place, place.run("rm ${D}out/features.json; " + ask), 1, {"features.json"});
  // Tuned on without them, it reads them no longer.
  expect_outcome(
      place,
      place.run(kTuneFeatures + "--overwrite --epochs 1; " + kTuneFeatures + kAllFeatures + "--overwrite --epochs 1"),
      0, {});
  expect_outcome(place,
                 place.run("$CLOZE finetune --task text-classification --model ${D}out --train ${D}t.tsv --output "
                           "${D}plain --epochs 1; echo good | $CLOZE predict --model ${D}plain"),
                 0, {"in the file but not used: cloze.numbers.weight"});
}

TEST(FeaturesCommand, MistakesAreTold) {
  const HostilePlace place;
  const auto expect_refused = [&](int status, const std::string& options, const char* words) {
    expect_outcome(place, place.run(kFitFeatures + options), status, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "out" / "model.safetensors"));
  };
  expect_refused(2, "--features numeric=starz", "there is no column \"starz\" (--features), did you mean \"stars\"?");
  expect_refused(1, "--features numeric=shop", "line 2: column \"shop\": \"a\" is not a number");
  expect_refused(1, "--features lexicon=${D}no", "cannot open %no: No such file");
  expect_refused(2, "--features tfidf-words --no-standardize", "--no-standardize: with --features");
  expect_refused(2, "--features encoder=$M encoder=$M:cls", "--features takes one second encoder");
  expect_refused(1, "--features encoder=${D}no", "%no");
  const std::string plain = "$CLOZE finetune --task text-classification --model $M --train x.tsv --output ${D}out ";
  expect_outcome(place, place.run(plain + "--pooling cls"), 2, {"--pooling goes with --encoder frozen only"});
  expect_outcome(place, place.run(plain + "--feature-cache ${D}cache"), 2,
                 {"--feature-cache keeps what a frozen encoder computes"});
  expect_outcome(place, place.run(plain + "--features tfidf-word"), 2, {"did you mean tfidf-words?"});
}

}  // namespace
}  // namespace cloze::test
