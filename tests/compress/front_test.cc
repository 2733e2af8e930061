#include "cloze/compress/front.h"

#include <gmock/gmock.h>

#include "cloze/base/json.h"

namespace cloze {
namespace {

using ::testing::HasSubstr;

Candidate candidate(const std::string& name, double seconds, int64_t bytes, std::vector<uint8_t> right) {
  Candidate c;
  c.name = name;
  c.shape = "2/8";
  c.size = {bytes / 4, bytes};
  c.seconds = seconds;
  c.judged.rows = std::ssize(right);
  c.judged.right = std::move(right);
  c.judged.metrics = {{"loss", 0.5},
                      {"accuracy", static_cast<double>(c.judged.right_count()) / static_cast<double>(c.judged.rows)}};
  return c;
}

std::vector<Candidate> four() {
  return {candidate("whole", 8, 400, {1, 1, 1, 1, 0}), candidate("half", 4, 200, {1, 1, 1, 1, 0}),
          candidate("third", 2.5, 150, {1, 1, 1, 0, 0}), candidate("quarter", 2, 100, {1, 0, 0, 0, 0})};
}

TEST(Front, ChoosesTheBestThatIsFastEnoughElseTheFastestWithinTheDrop) {
  const std::vector<Candidate> all = four();
  EXPECT_EQ(choose(all, {2, 0}).name, "half");
  EXPECT_EQ(choose(all, {3, 20}).name, "third");
  EXPECT_EQ(choose(all, {3, 100}).name, "third") << "of those that are fast enough the better one";
  EXPECT_EQ(choose(all, {100, 20}).name, "third");
  EXPECT_EQ(choose(all, {100, 0}).name, "half");
  EXPECT_THAT(reason(all, {3, 20}),
              HasSubstr("third: 3.20 times as fast, 38 % of the bytes, -20.00 points of accuracy"));
  EXPECT_THAT(reason(all, {100, 0}), HasSubstr("100 times as fast was not reached"));
  EXPECT_EQ(choose({candidate("whole", 1, 10, {1}), candidate("bad", 0.1, 1, {0})}, {2, 1}).name, "whole");
  EXPECT_EQ(
      choose({candidate("whole", 4, 10, {1}), candidate("a", 1, 9, {1}), candidate("b", 1.1, 5, {1})}, {2, 1}).name,
      "b")
      << "of equal ones the smaller";
}

TEST(Front, HoldsWhatNothingBeats) {
  const std::vector<Candidate> all = four();
  EXPECT_FALSE(on_front(all, all[0])) << "half is as good and faster";
  EXPECT_TRUE(on_front(all, all[1]));
  EXPECT_TRUE(on_front(all, all[3]));
}

TEST(Front, TableLineAndPageSayTheSame) {
  const std::vector<Candidate> all = four();
  EXPECT_THAT(front_table(all, {3, 20}), HasSubstr(">*third"));
  EXPECT_THAT(front_table(all, {3, 20}), HasSubstr("+0.00"));
  const Json line = Json::parse(candidate_line(all, all[2], {3, 20}));
  EXPECT_EQ(line["chosen"], true);
  EXPECT_DOUBLE_EQ(line["times_as_fast"], 3.2);
  EXPECT_NEAR(line["gain"].get<double>(), -20, 1e-9);
  const std::string page = front_page(all, {3, 20}, "a < b", "8 rows");
  EXPECT_THAT(page, HasSubstr("<title>a &lt; b</title>"));
  EXPECT_THAT(page, HasSubstr("latency of 8 rows (logarithmic)"));
  EXPECT_THAT(page, HasSubstr("p 1"));
}

}  // namespace
}  // namespace cloze
