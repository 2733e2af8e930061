#include "cloze/optim/schedule.h"

#include <gtest/gtest.h>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

std::vector<double> rates(const Schedule& schedule, int64_t steps) {
  std::vector<double> all;
  for (int64_t step = 0; step < steps; ++step) all.push_back(schedule.rate(step));
  return all;
}

void expect_rates(const Schedule& schedule, const std::vector<double>& expected) {
  const std::vector<double> found = rates(schedule, static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-15) << "step " << i;
}

TEST(ScheduleTest, Linear) {
  // The last step of ten still learns; the one after it would not.
  expect_rates({.peak = 1, .warmup_steps = 2, .total_steps = 10, .decline = Decline::kLinear},
               {0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0, 0});
  expect_rates({.peak = 2e-5, .warmup_steps = 0, .total_steps = 4, .decline = Decline::kLinear},
               {2e-5, 1.5e-5, 1e-5, 0.5e-5, 0});
}

TEST(ScheduleTest, Cosine) {
  // peak (1 + cos(pi i / 4)) / 2
  expect_rates({.peak = 1, .warmup_steps = 1, .total_steps = 5, .decline = Decline::kCosine},
               {1, 1, 0.8535533905932737, 0.5, 0.14644660940672624, 0, 0});
}

TEST(ScheduleTest, Constant) {
  expect_rates({.peak = 3, .warmup_steps = 3, .total_steps = 5, .decline = Decline::kConstant}, {1, 2, 3, 3, 3, 3, 3});
}

TEST(ScheduleTest, DegenerateLengths) {
  expect_rates({.peak = 1, .warmup_steps = 0, .total_steps = 0, .decline = Decline::kLinear}, {1, 0});
  expect_rates({.peak = 1, .warmup_steps = 4, .total_steps = 2, .decline = Decline::kLinear},
               {0.25, 0.5, 0.75, 1, 1, 0});
}

TEST(ScheduleTest, RateOverTime) {
  const auto linear = [](double share) { return rate_at(2, 0.2, Decline::kLinear, share); };
  EXPECT_DOUBLE_EQ(linear(0), 0);
  EXPECT_DOUBLE_EQ(linear(0.05), 0.5);
  EXPECT_DOUBLE_EQ(linear(0.2), 2);
  EXPECT_DOUBLE_EQ(linear(0.6), 1);
  EXPECT_NEAR(linear(1), 0, 1e-15);
  EXPECT_DOUBLE_EQ(linear(1.5), 0) << "a last step may end after the time";
  EXPECT_DOUBLE_EQ(rate_at(2, 0, Decline::kLinear, 0), 2) << "without warm-up";
  EXPECT_DOUBLE_EQ(rate_at(2, 0, Decline::kCosine, 0.25), 1.7071067811865475);
  EXPECT_DOUBLE_EQ(rate_at(2, 0.5, Decline::kConstant, 0.9), 2);
  EXPECT_DOUBLE_EQ(rate_at(2, 1, Decline::kLinear, 0.5), 1) << "nothing but warm-up";
  EXPECT_DOUBLE_EQ(rate_at(2, 1, Decline::kLinear, 1), 2);
}

TEST(ScheduleTest, Names) {
  EXPECT_EQ(parse_decline("constant"), Decline::kConstant);
  EXPECT_EQ(parse_decline("linear"), Decline::kLinear);
  EXPECT_EQ(parse_decline("cosine"), Decline::kCosine);
  EXPECT_EQ(test::error_of([] { parse_decline("Linear"); }),
            "usage: unknown schedule \"Linear\", did you mean linear?; known are constant, linear, cosine");
}

}  // namespace
}  // namespace cloze
