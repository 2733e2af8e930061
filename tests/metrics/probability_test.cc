// Literal values come from a plain Python script that follows the definitions (AUC pair by pair, bins one by one).
#include "cloze/metrics/probability.h"

#include <cmath>

#include "cloze/metrics/nan.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using Probabilities = std::vector<double>;
using Classes = std::vector<int>;

const Probabilities kThree = {.7, .2, .1, .1, .8, .1, .3, .3, .4, .05, .9, .05};
const Classes kThreeTruth = {0, 1, 0, 2};

TEST(ProbabilityTest, LogLoss) {
  EXPECT_DOUBLE_EQ(log_loss(kThree, kThreeTruth, 3), 1.1948808932832173);
  EXPECT_DOUBLE_EQ(log_loss(Probabilities{0, 1, .5, .5}, Classes{0, 1}, 2), 18.36840028483855);  // 0 is clipped
  EXPECT_NEAR(log_loss(Probabilities{1, 0}, Classes{0}, 2), 2.2e-16, 1e-17);
}

TEST(ProbabilityTest, CalibrationError) {
  EXPECT_DOUBLE_EQ(calibration_error(kThree, kThreeTruth, 3), 0.45);
  const Probabilities two = {.62, .38, .65, .35, .66, .34, .9, .1, .3, .7, .36, .64};
  const Classes truth = {0, 1, 0, 0, 1, 0};
  EXPECT_NEAR(calibration_error(two, truth, 2), 0.1616666666666667, 1e-15);
  EXPECT_NEAR(calibration_error(two, truth, 2, 1), 0.02833333333333332, 1e-15);
}

TEST(ProbabilityTest, CalibrationBinsIncludeTheirUpperEdge) {
  // 0.5 belongs to (0.25, 0.5], alone; 0.75 to (0.5, 0.75].
  EXPECT_DOUBLE_EQ(calibration_error(Probabilities{.5, .5, .25, .75}, Classes{0, 0}, 2, 4), (0.5 + 0.75) / 2);
  EXPECT_DOUBLE_EQ(calibration_error(Probabilities{1, 0, 1, 0}, Classes{0, 0}, 2), 0);
}

TEST(ProbabilityTest, RocAuc) {
  EXPECT_DOUBLE_EQ(roc_auc(Probabilities{.1, .4, .35, .8}, Classes{0, 0, 1, 1}), 0.75);  // scikit-learn's example
  EXPECT_DOUBLE_EQ(roc_auc(Probabilities{.1, .4, .35, .8, .4, .4, .9}, Classes{0, 0, 1, 1, 1, 0, 0}), 0.5);
  EXPECT_DOUBLE_EQ(roc_auc(Probabilities{1, 2, 3}, Classes{0, 1, 1}), 1);
  EXPECT_DOUBLE_EQ(roc_auc(Probabilities{3, 2, 1}, Classes{0, 1, 1}), 0);
  EXPECT_DOUBLE_EQ(roc_auc(Probabilities{2, 2, 2}, Classes{0, 1, 1}), 0.5);
}

TEST(ProbabilityTest, UndefinedIsNaN) {
  EXPECT_TRUE(std::isnan(log_loss({}, {}, 2)));
  EXPECT_TRUE(std::isnan(calibration_error({}, {}, 2)));
  EXPECT_TRUE(std::isnan(roc_auc({}, {})));
  EXPECT_TRUE(std::isnan(roc_auc(Probabilities{1, 2}, Classes{1, 1})));
  EXPECT_TRUE(std::isnan(roc_auc(Probabilities{1, kNaN, 2}, Classes{1, 0, 0})));
  EXPECT_TRUE(std::isnan(log_loss(Probabilities{kNaN, .5}, Classes{0}, 2)));
  EXPECT_TRUE(std::isnan(calibration_error(Probabilities{.5, kNaN}, Classes{0}, 2)));
}

TEST(ProbabilityTest, Errors) {
  EXPECT_EQ(error_of([] {
              log_loss(Probabilities{.5, .5, 1}, Classes{0, 1}, 2);
            }),
            "value: expected 2 rows of 2 probabilities, found 3 numbers");
  EXPECT_EQ(error_of([] {
              calibration_error(Probabilities{.5, .5}, Classes{2}, 2);
            }),
            "value: expected a true class of 0 to 1, found 2");
  EXPECT_EQ(error_of([] {
              calibration_error(Probabilities{.5, .5}, Classes{1}, 2, 0);
            }),
            "value: expected at least one bin, found 0");
  EXPECT_EQ(error_of([] { roc_auc(Probabilities{1}, Classes{2}); }), "value: expected a true class of 0 or 1, found 2");
  EXPECT_EQ(error_of([] { roc_auc(Probabilities{1}, {}); }),
            "value: expected as many scores as true classes, found 1 and 0");
}

}  // namespace
}  // namespace cloze
