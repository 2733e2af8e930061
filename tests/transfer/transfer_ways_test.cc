// Which way is recommended, and how results are shown.
#include "cloze/transfer/transfer_ways.h"

#include <gmock/gmock.h>

#include "cloze/base/error.h"
#include "cloze/base/json.h"

namespace cloze {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

WayResult result(const std::string& name, double accuracy, double seconds, int64_t rows = 400) {
  WayResult r;
  r.way = {name, "what " + name + " does", {}, false};
  r.rows = rows;
  r.right = static_cast<int64_t>(accuracy * static_cast<double>(rows));
  r.accuracy = accuracy;
  r.interval = wilson_interval(r.right, rows);
  r.trained = 12'345'678;
  r.train_seconds = seconds;
  r.peak_bytes = 42'000'000;
  r.rows_per_second = 100;
  return r;
}

WayResult failed(const std::string& name) {
  WayResult r;
  r.way = {name, "", {}, false};
  r.failed = true;
  r.note = "class <x> & \"y\" has no rows";
  return r;
}

/// At 80 % of 400 rows the standard error is 2 points.
TEST(TransferWays, TheCheapestWithinOneStandardErrorOfTheBest) {
  std::vector<WayResult> results = {result("cheap", 0.77, 1), result("near", 0.785, 3), result("best", 0.80, 60)};
  EXPECT_EQ(recommended(results)->name(), "near");
  EXPECT_EQ(
      recommendation(results),
      "pick near: 1.5 points below best, which is within one standard error (2.0), and 20.0 times faster to train");
  results[0] = result("cheap", 0.79, 1);
  EXPECT_EQ(recommended(results)->name(), "cheap");
  results = {result("best", 0.8, 5), result("even", 0.80, 2)};
  EXPECT_EQ(recommendation(results), "pick even: as good as best, and 2.5 times faster to train");
  results = {result("cheap", 0.5, 1), result("best", 0.80, 60)};
  EXPECT_EQ(recommendation(results), "pick best: the best, and none within its standard error is cheaper to train");
}

TEST(TransferWays, FailedOnesAreShownAndNeverRecommended) {
  const std::vector<WayResult> results = {failed("svm"), result("linear", 0.6, 2)};
  EXPECT_EQ(recommended(results)->name(), "linear");
  EXPECT_THAT(ways_table(results), HasSubstr("svm          failed: class <x> & \"y\" has no rows\n"));
  EXPECT_EQ(recommended({failed("svm")}), nullptr);
  EXPECT_EQ(recommendation({}), "no way came to its end");
  EXPECT_EQ(parse_json(way_line(results[0]), "line"), Json({{"way", "svm"}, {"failed", results[0].note}}));
}

TEST(TransferWays, TheTableAndTheLine) {
  const std::vector<WayResult> results = {result("linear", 0.75, 2.04)};
  EXPECT_EQ(ways_table(results),
            "way          accuracy  95 % interval     trained      time   memory    rows/s\n"
            "linear         0.7500  0.7053-0.7899      12.3 M     2.0 s    42 MB       100\n");
  const Json line = parse_json(way_line(results[0]), "line");
  EXPECT_EQ(line["accuracy"], 0.75);
  EXPECT_EQ(line["trained"], 12'345'678);
  EXPECT_NEAR(line["interval"][0].get<double>(), 0.70530, 5e-5);
}

TEST(TransferWays, ThePageStandsAloneAndEscapes) {
  const std::string page = ways_page({failed("a<b"), result("linear", 0.75, 2), result("full", 1, 400)}, "x & y");
  EXPECT_THAT(page, HasSubstr("<title>x &amp; y</title>"));
  EXPECT_THAT(page, HasSubstr("a&lt;b"));
  EXPECT_THAT(page, HasSubstr("class &lt;x&gt; &amp; &quot;y&quot; has no rows"));
  EXPECT_THAT(page, Not(HasSubstr("http")));
  EXPECT_THAT(page, HasSubstr("1000 s"));
  EXPECT_THAT(ways_page({failed("x")}, "t"), Not(HasSubstr("<svg"))) << "nothing to plot";
}

TEST(TransferWays, NamesPickInTheOrderOfCost) {
  EXPECT_EQ(pick_ways({}).size(), transfer_ways().size());
  const std::vector<TransferWay> two = pick_ways({"full", "knn"});
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].name, "knn");
  try {
    pick_ways({"linaer"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean linear?"));
  }
}

}  // namespace
}  // namespace cloze
