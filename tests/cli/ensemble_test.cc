// cloze ensemble through the program.
#include <cmath>

#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kMakeMembers =
    "printf 'label\\ttext\\tstars\\nup\\tgood x\\t5\\ndown\\tbad x\\t1\\nup\\tgood y\\t4\\ndown\\tbad y\\t2\\n' > "
    "${D}t.tsv; "
    "tac ${D}t.tsv | grep -v label | (head -1 ${D}t.tsv; cat) > ${D}r.tsv; "
    "for c in linear knn; do [ -d ${D}$c ] || $CLOZE finetune --task text-classification --encoder frozen --model $M "
    "--train ${D}t.tsv "
    "--output ${D}$c --classifier $c $([ $c = knn ] || echo --features numeric=stars) 2> ${D}log || exit 9; done; ";
const std::string kJoin = kMakeMembers + "$CLOZE ensemble --models ${D}linear ${D}knn --output ${D}out ";

std::vector<double> scores(const Outcome& predicted) {
  const Json line = Json::parse(predicted.out.substr(0, predicted.out.find('\n')));
  return {line["scores"]["up"], line["scores"]["down"]};
}

TEST(EnsembleCommand, AveragesTheMembersProbabilities) {
  const HostilePlace place;
  const Outcome joined = place.run(kJoin + "--weights 3 1 --dev ${D}t.tsv");
  expect_outcome(place, joined, 0, {"average of all", "%linear", "%knn", "done: average of 2 models is in %out"});
  const std::string rows = "head -2 ${D}t.tsv | $CLOZE predict --format tsv --model ${D}";
  const std::vector<double> a = scores(place.run(rows + "linear")), b = scores(place.run(rows + "knn")),
                            both = scores(place.run("rm -r ${D}linear ${D}knn; " + rows + "out"));
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(both[i], 0.75 * a[i] + 0.25 * b[i], 1e-6);
  const Outcome evaluated = place.run("$CLOZE evaluate --model ${D}out --data ${D}t.tsv");
  expect_outcome(place, evaluated, 0, {});
  EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], Json::parse(joined.out)["accuracy"]);
  expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}out"), 2, {"it has no columns"});
  expect_outcome(place, place.run("$CLOZE bench --model ${D}out --mode start"), 0, {});
}

TEST(EnsembleCommand, StacksOnHeldOutRows) {
  const HostilePlace place;
  expect_outcome(place, place.run(kJoin + "--method stacking --train ${D}r.tsv --dev ${D}t.tsv"), 0,
                 {"cross-validation of 4 rows", "stacking of all", "accuracy 1.0000"});
  const Outcome evaluated = place.run("$CLOZE evaluate --model ${D}out --data ${D}t.tsv");
  EXPECT_EQ(Json::parse(evaluated.out)["accuracy"], 1.0);
  EXPECT_EQ(parse_json(read_file(place / "out" / "ensemble.json"), "e"),
            Json({{"format", 1}, {"method", "stacking"}, {"members", 2}}));
}

TEST(EnsembleCommand, MistakesAreTold) {
  const HostilePlace place;
  const auto expect_usage = [&](const std::string& options, const char* words) {
    expect_outcome(place, place.run(kMakeMembers + "$CLOZE ensemble --output ${D}out " + options), 2, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "out"));
  };
  const std::string two = "--models ${D}linear ${D}knn ";
  expect_usage("--models ${D}linear", "takes 2 to 64 models, got 1");
  expect_usage(two + "--method stackin", "did you mean stacking?");
  expect_usage(two + "--method stacking", "give --train");
  expect_usage(two + "--train ${D}t.tsv", "--train is for --method stacking");
  expect_usage(two + "--weights 1", "takes as many weights, got 1");
  expect_usage(two + "--weights -1 2", "must not be negative, got -1");
  expect_usage(two + "--weights 0 0", "must not all be 0");
  expect_usage(two + "--dev ${D}t.tsv --text nope", "there is no column \"nope\"");
  expect_outcome(
      place,
      place.run(kMakeMembers + "sed 's/up/high/' ${D}t.tsv > ${D}h.tsv; $CLOZE finetune --task text-classification "
                               "--encoder frozen --classifier knn --model $M --train ${D}h.tsv --output ${D}other; "
                               "$CLOZE ensemble --output ${D}out --models ${D}linear ${D}other"),
      2, {"other does not know the label \"up\" of %linear; it has down, high"});
  expect_outcome(place, place.run(kJoin + "; $CLOZE info ${D}out"), 2, {"%out is an ensemble of several models"});
  expect_outcome(place, place.run(kJoin), 2, {"%out is not empty"});
  expect_outcome(place, place.run("$CLOZE ensemble --output ${D}more --models ${D}out ${D}knn"), 2,
                 {"%out is an ensemble itself"});
}

TEST(EnsembleCommand, BrokenFilesAreRefused) {
  const HostilePlace place;
  expect_outcome(place, place.run(kJoin), 0, {});
  const Json good = parse_json(read_file(place / "out" / "ensemble.json"), "e");
  const auto expect_refused = [&](const std::function<void(Json&)>& damage, const char* words) {
    Json bad = good;
    damage(bad);
    write_file(place / "out" / "ensemble.json", bad.dump());
    const Outcome outcome = place.run("$CLOZE predict --model ${D}out --input ${D}t.tsv");
    EXPECT_NE(outcome.exit_code, 0) << words;
    EXPECT_THAT(outcome.err, HasSubstr(words));
  };
  expect_refused([](Json& j) { j["format"] = 2; }, "\"format\" 2 is not 1");
  expect_refused([](Json& j) { j["members"] = 1; }, "\"members\" must be 2 to 64");
  expect_refused([](Json& j) { j["members"] = 3; }, "member-3");
  expect_refused([](Json& j) { j["method"] = "vote"; }, "must be average or stacking");
  expect_refused([](Json& j) { j["method"] = "stacking"; }, "classifier.json");
  expect_refused([](Json& j) { j["weights"] = "all"; }, "an array of numbers under \"weights\"");
  expect_refused([](Json& j) { j["weights"] = {1}; }, "takes as many weights");
}

}  // namespace
}  // namespace cloze::test
