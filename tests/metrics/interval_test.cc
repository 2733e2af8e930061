#include "cloze/metrics/interval.h"

#include <cmath>
#include <limits>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;

TEST(IntervalTest, NormalQuantile) {
  EXPECT_NEAR(normal_quantile(0.975), 1.9599639845400542, 2e-15);
  EXPECT_NEAR(normal_quantile(0.995), 2.5758293035489008, 2e-15);
  EXPECT_NEAR(normal_quantile(0.01), -2.3263478740408412, 2e-15);
  EXPECT_NEAR(normal_quantile(1e-10), -6.3613409024040562, 1e-14);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-15);
  for (const double p : {1e-300, 1e-9, 0.02, 0.3, 0.5, 0.77, 0.999}) {
    EXPECT_NEAR(std::erfc(-normal_quantile(p) / std::sqrt(2.0)) / 2 / p, 1, 1e-11) << p;
  }
  EXPECT_EQ(normal_quantile(0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(normal_quantile(1), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(normal_quantile(1.5)));
  EXPECT_TRUE(std::isnan(normal_quantile(std::numeric_limits<double>::quiet_NaN())));
}

TEST(IntervalTest, Wilson) {
  // 81 of 263: Newcombe (1998), table I gives 0.2553 to 0.3662. The digits: roots of (k/n - p)^2 = z^2 p (1 - p) / n.
  EXPECT_NEAR(wilson_interval(81, 263).low, 0.2552885198782742, 1e-14);
  EXPECT_NEAR(wilson_interval(81, 263).high, 0.3662095769828002, 1e-14);
  EXPECT_NEAR(wilson_interval(90, 100, 0.99).low, 0.7962492615283769, 1e-14);
  EXPECT_EQ(wilson_interval(0, 10).low, 0);
  EXPECT_NEAR(wilson_interval(0, 10).high, 0.27753279986288915, 1e-14);
  EXPECT_NEAR(wilson_interval(10, 10).low, 0.7224672001371111, 1e-14);
  EXPECT_EQ(wilson_interval(10, 10).high, 1);
  EXPECT_TRUE(std::isnan(wilson_interval(0, 0).low) && std::isnan(wilson_interval(0, 0).high));
  EXPECT_EQ(error_of([] { wilson_interval(3, 2); }), "value: expected 0 to 2 right rows, found 3");
  EXPECT_EQ(error_of([] { wilson_interval(1, 2, 95); }), "value: confidence must be between 0 and 1, found 95");
}

TEST(IntervalTest, BootstrapAgreesWithWilson) {
  std::vector<uint8_t> right(1000);
  for (size_t i = 0; i < 870; ++i) right[i] = 1;
  const Interval bootstrap = bootstrap_accuracy_interval(right, {.resamples = 4000, .seed = 3});
  const Interval wilson = wilson_interval(870, 1000);
  EXPECT_NEAR(bootstrap.low, wilson.low, 0.004);
  EXPECT_NEAR(bootstrap.high, wilson.high, 0.004);
  const Interval narrow = bootstrap_accuracy_interval(right, {.resamples = 4000, .confidence = 0.5, .seed = 3});
  EXPECT_NEAR(narrow.high - narrow.low, 2 * 0.67449 * std::sqrt(.87 * .13 / 1000), 0.003);
}

TEST(IntervalTest, BootstrapDependsOnItsSeedAlone) {
  const std::vector<uint8_t> right = {1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1};
  const auto run = [&](uint64_t seed) {
    std::vector<double> means;
    bootstrap_interval(17,
                       [&](std::span<const int64_t> rows) {
                         EXPECT_EQ(rows.size(), 17u);
                         double sum = 0;
                         for (const int64_t row : rows) sum += right.at(static_cast<size_t>(row));
                         means.push_back(sum / 17);
                         return means.back();
                       },
                       {.resamples = 20, .seed = seed});
    return means;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(IntervalTest, BootstrapPercentilesInterpolate) {
  // A metric that gives 0, 1, ... 100 in turn: the 5 % and 95 % percentiles are 5 and 95, of 90 % of 11 values
  // 0.5, 9.5.
  double next = 0;
  const auto count_up = [&](std::span<const int64_t>) { return next++; };
  Interval interval = bootstrap_interval(1, count_up, {.resamples = 101, .confidence = 0.9});
  EXPECT_NEAR(interval.low, 5, 1e-12);
  EXPECT_NEAR(interval.high, 95, 1e-12);
  next = 0;
  interval = bootstrap_interval(1, count_up, {.resamples = 11, .confidence = 0.9});
  EXPECT_NEAR(interval.low, 0.5, 1e-12);
  EXPECT_NEAR(interval.high, 9.5, 1e-12);
}

TEST(IntervalTest, BootstrapEdges) {
  EXPECT_TRUE(std::isnan(bootstrap_accuracy_interval({}).low));
  const std::vector<uint8_t> all = {1, 1, 1};
  EXPECT_EQ(bootstrap_accuracy_interval(all).low, 1);
  EXPECT_EQ(bootstrap_accuracy_interval(all).high, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  int calls = 0;
  const Interval half = bootstrap_interval(3, [&](auto) { return ++calls % 2 == 0 ? nan : 7.0; }, {.resamples = 9});
  EXPECT_EQ(half.low, 7);
  EXPECT_TRUE(std::isnan(bootstrap_interval(3, [&](auto) { return nan; }).high));
  EXPECT_EQ(error_of([&] { bootstrap_accuracy_interval(all, {.resamples = 0}); }),
            "value: a bootstrap needs rows and at least one resample, found 3 rows and 0 resamples");
  EXPECT_EQ(error_of([&] { bootstrap_accuracy_interval(std::vector<uint8_t>{2}); }),
            "value: expected flags of 0 or 1 (right), found 2");
}

}  // namespace
}  // namespace cloze
