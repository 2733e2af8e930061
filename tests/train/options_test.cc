// Times as people write them.
#include "cloze/train/options.h"

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;

TEST(ParseDuration, Times) {
  EXPECT_EQ(parse_duration("45s"), 45);
  EXPECT_EQ(parse_duration("90m"), 5400);
  EXPECT_EQ(parse_duration("2h"), 7200);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("1h30m15s"), 5415);
  EXPECT_EQ(parse_duration("1h15s"), 3615);
  EXPECT_EQ(parse_duration("1.5h"), 5400);
  EXPECT_EQ(parse_duration("0.5s"), 0.5);
  EXPECT_EQ(parse_duration("0h1s"), 1);
  EXPECT_EQ(parse_duration("8784h"), 366 * 86400.0);
}

TEST(ParseDuration, WhatIsNone) {
  for (const std::string text :
       {"",      "0s",  "0h0m0s", "90",    "h",    "m",     "1",     "1d",        "1 h",
        " 1h",   "1h ", "1H",     "-1h",   "+1h",  "1e3s",  "1h30",  "30m1h",     "1h1h",
        "1..5h", ".h",  "1.2.3h", "nan s", "infs", "0x10s", "8785h", "99999999h", "1234567890123s",
        "一h"}) {
    EXPECT_EQ(error_of([&] { parse_duration(text); }),
              fmt::format("usage: --time-budget must be a time such as 45s, 90m, 2h or 1h30m, got \"{}\"", text));
  }
}

TEST(TrainOptions, TimeBudgetIsChecked) {
  TrainOptions options;
  options.time_budget = "1h30";
  EXPECT_THAT(error_of([&] { options.check(); }), testing::HasSubstr("usage: --time-budget must be a time"));
  options.time_budget = "1h";
  EXPECT_EQ(error_of([&] { options.check(); }), "no error");
  options.steps = 5;
  EXPECT_EQ(error_of([&] { options.check(); }), "usage: --steps and --time-budget exclude each other");
}

}  // namespace
}  // namespace cloze
