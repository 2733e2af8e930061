#include "cloze/metrics/paired.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cloze {
namespace {

TEST(Paired, McNemarsExactTestByHand) {
  EXPECT_DOUBLE_EQ(mcnemar_exact({100, 0, 0}), 1);
  EXPECT_DOUBLE_EQ(mcnemar_exact({100, 3, 3}), 1);
  EXPECT_NEAR(mcnemar_exact({100, 0, 5}), 2.0 / 32, 1e-12);
  EXPECT_NEAR(mcnemar_exact({100, 6, 1}), 2.0 * (1 + 7) / 128, 1e-12);
  EXPECT_NEAR(mcnemar_exact({100, 1, 6}), mcnemar_exact({100, 6, 1}), 1e-15);
  // scipy.stats.binomtest(400, 1000).pvalue
  EXPECT_NEAR(mcnemar_exact({5000, 400, 600}) / 2.7284641560660184e-10, 1, 1e-6);
}

TEST(Paired, TheIntervalIsAroundTheDifference) {
  const PairedCounts counts{200, 10, 30};
  EXPECT_DOUBLE_EQ(counts.difference(), 0.1);
  const Interval interval = difference_interval(counts);
  const double half = 1.959963984540054 * std::sqrt(40 - 400.0 / 200) / 200;
  EXPECT_NEAR(interval.low, 0.1 - half, 1e-12);
  EXPECT_NEAR(interval.high, 0.1 + half, 1e-12);
  EXPECT_TRUE(std::isnan(difference_interval({}).low));
  EXPECT_EQ(difference_interval({5, 0, 0}).high, 0);
}

}  // namespace
}  // namespace cloze
