// Literal values come from a plain Python script in exact fractions.
#include "cloze/metrics/regression.h"

#include <cmath>

#include "cloze/metrics/nan.h"
#include "cloze/metrics/ranks.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using Numbers = std::vector<double>;

const Numbers kPredicted = {2.5, 0.0, 2.0, 8.0, 4.0, 4.0}, kTruth = {3.0, -0.5, 2.0, 7.0, 4.0, 5.5};

TEST(RegressionTest, Literals) {
  EXPECT_NEAR(pearson(kPredicted, kTruth), 0.9480592668709682, 1e-15);
  EXPECT_NEAR(spearman(kPredicted, kTruth), 0.9856107606091623, 1e-15);
  EXPECT_DOUBLE_EQ(mean_squared_error(kPredicted, kTruth), 0.625);
  EXPECT_DOUBLE_EQ(mean_absolute_error(kPredicted, kTruth), 3.5 / 6);
  EXPECT_NEAR(r_squared(kPredicted, kTruth), 0.8928571428571429, 1e-15);
}

TEST(RegressionTest, RanksShareTies) {
  EXPECT_EQ(average_ranks(kPredicted), (Numbers{3, 1, 2, 6, 4.5, 4.5}));
  EXPECT_EQ(average_ranks(Numbers{7, 7, 7}), (Numbers{2, 2, 2}));
  EXPECT_EQ(average_ranks(Numbers{0.0, -0.0, kNaN, -1}), (Numbers{2.5, 2.5, 4, 1}));
  EXPECT_TRUE(average_ranks({}).empty());
}

TEST(RegressionTest, ScaleAndOrder) {
  Numbers scaled, cubed;
  for (const double value : kTruth) {
    scaled.push_back(-3 * value + 100);
    cubed.push_back(value * value * value);
  }
  EXPECT_NEAR(pearson(scaled, kTruth), -1, 1e-15);
  EXPECT_GE(pearson(scaled, kTruth), -1);  // never beyond, by rounding
  EXPECT_LT(pearson(cubed, kTruth), 0.99);
  EXPECT_NEAR(spearman(cubed, kTruth), 1, 1e-15);
  EXPECT_DOUBLE_EQ(r_squared(kTruth, kTruth), 1);
  EXPECT_LT(r_squared(scaled, kTruth), 0);
}

TEST(RegressionTest, Undefined) {
  const Numbers tenths(10, 0.1), steps = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_TRUE(std::isnan(pearson(tenths, steps)));  // though the mean of ten 0.1 is not 0.1
  EXPECT_TRUE(std::isnan(pearson(steps, tenths)));
  EXPECT_TRUE(std::isnan(spearman(tenths, steps)));
  EXPECT_EQ(r_squared(tenths, tenths), 1);
  EXPECT_EQ(r_squared(steps, tenths), 0);
  for (const auto metric : {pearson, spearman, mean_squared_error, mean_absolute_error, r_squared}) {
    EXPECT_TRUE(std::isnan(metric({}, {})));
    EXPECT_TRUE(std::isnan(metric(Numbers{1, kNaN, 3}, Numbers{1, 2, 3})));
    EXPECT_TRUE(std::isnan(metric(Numbers{1, 2, 3}, Numbers{1, kNaN, 3})));
    EXPECT_EQ(test::error_of([&] {
                metric(Numbers{1}, Numbers{1, 2});
              }),
              "value: expected as many predictions as true values, found 1 and 2");
  }
  EXPECT_TRUE(std::isnan(pearson(Numbers{1}, Numbers{2})));
  EXPECT_TRUE(std::isnan(r_squared(Numbers{1}, Numbers{2})));
  EXPECT_EQ(mean_squared_error(Numbers{1}, Numbers{3}), 4);
}

}  // namespace
}  // namespace cloze
