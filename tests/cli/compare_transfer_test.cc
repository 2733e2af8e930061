// cloze compare-transfer through the program.
#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kCompareRows =
    "printf 'label\\ttext\\nup\\tgood x\\ndown\\tbad x\\nup\\tgood y\\ndown\\tbad y\\n' > ${D}t.tsv; ";
const std::string kCompareCommand = "$CLOZE compare-transfer --model $M --dev ${D}t.tsv --output ${D}out --threads 1 ";
const std::string kCompare = kCompareRows + kCompareCommand + "--train ${D}t.tsv ";

TEST(CompareTransfer, MeasuresTheWaysAndRecommendsOne) {
  const HostilePlace place;
  const Outcome outcome =
      place.run(kCompare + "--ways full linear lora prototype --time-budget 2s --html ${D}page.html");
  expect_outcome(place, outcome, 0,
                 {"4 training rows, measured on 4 rows", "give --test for an unbiased measure",
                  "[1/4] prototype:", "[4/4] full:", "accuracy  95 ", "pick ", "the plot in %page.html"});
  std::istringstream lines(outcome.out);
  std::vector<std::string> names;
  std::map<std::string, int64_t> trained;
  for (std::string line; std::getline(lines, line);) {
    const Json way = parse_json(line, "line");
    names.push_back(way["way"]);
    trained[names.back()] = way["trained"];
    const double accuracy = way["accuracy"];
    EXPECT_TRUE(accuracy >= 0 && accuracy <= 1) << line;
    EXPECT_GT(way["train_seconds"].get<double>(), 0) << line;
    EXPECT_GT(way["peak_bytes"].get<int64_t>(), 1'000'000) << line;
    EXPECT_GT(way["rows_per_second"].get<double>(), 0) << line;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"prototype", "linear", "lora", "full"}));
  EXPECT_EQ(trained["linear"], 9) << "a weight for each of 8 numbers, and an intercept";
  EXPECT_LT(trained["lora"], trained["full"]);
  EXPECT_THAT(read_file(place / "page.html"), HasSubstr("<svg"));
  // Every way leaves a model like any other.
  for (const std::string& name : names)
    expect_outcome(place, place.run("echo good | $CLOZE predict --model ${D}out/" + name), 0, {});
}

TEST(CompareTransfer, MistakesAreTold) {
  const HostilePlace place;
  expect_outcome(place, place.run(kCompare + "--ways fulll"), 2, {"unknown way \"fulll\", did you mean full?"});
  expect_outcome(place, place.run(kCompare + "--epochs 0"), 2, {"--epochs"});
  expect_outcome(place, place.run(kCompare + "--task fill-mask"), 2, {"ways are compared for text-classification"});
  expect_outcome(place, place.run(kCompare + "--time-budget soon"), 2, {"soon"});
  expect_outcome(place, place.run("mkdir ${D}out; touch ${D}out/mine; " + kCompare + "--ways linear"), 2,
                 {"%out is not empty"});
  EXPECT_TRUE(std::filesystem::exists(place / "out" / "mine"));
}

TEST(CompareTransfer, AWayThatFailsSaysWhyAndTheOthersGoOn) {
  const HostilePlace place;
  const Outcome outcome = place.run(kCompareRows + "head -2 ${D}t.tsv > ${D}one.tsv; " + kCompareCommand +
                                    "--train ${D}one.tsv --ways linear prototype");
  expect_outcome(place, outcome, 1,
                 {"prototype    failed: %one.tsv: all 1 rows have the label \"up\"",
                  "linear       failed: %one.tsv: all 1 rows have the label \"up\"", "no way came to its end"});
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 2) << outcome.out;
}

}  // namespace
}  // namespace cloze::test
