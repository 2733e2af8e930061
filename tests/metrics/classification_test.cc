// Literal values come from a plain Python script that follows the definitions in exact fractions (Gorodkin's R_K by
// its covariances, kappa by chance agreement, averages as scikit-learn defines them).
#include "cloze/metrics/classification.h"

#include <cmath>

#include "cloze/base/rng.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;

const std::vector<int> kTrueClasses = {0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3};
const std::vector<int> kPredictedClasses = {0, 1, 0, 1, 1, 2, 1, 2, 0, 2, 3, 1};

/// Five classes; class 4 never occurs.
ConfusionMatrix example() {
  return ConfusionMatrix(kPredictedClasses, kTrueClasses, 5);
}

TEST(ConfusionMatrixTest, Counts) {
  const ConfusionMatrix matrix = example();
  EXPECT_EQ(matrix.classes(), 5);
  EXPECT_EQ(matrix.total(), 12);
  EXPECT_EQ(matrix.correct(), 8);
  EXPECT_EQ(matrix.count(0, 0), 2);
  EXPECT_EQ(matrix.count(0, 1), 1);  // truth 0, predicted 1
  EXPECT_EQ(matrix.count(1, 0), 0);
  EXPECT_EQ(matrix.count(2, 0), 1);
  EXPECT_EQ(matrix.truth_count(1), 4);
  EXPECT_EQ(matrix.predicted_count(1), 5);
  EXPECT_EQ(matrix.truth_count(4) + matrix.predicted_count(4), 0);
}

TEST(ConfusionMatrixTest, ConfusionsAreSorted) {
  ConfusionMatrix matrix(3);
  for (const auto& [truth, predicted, times] : {std::tuple{0, 1, 2}, {2, 0, 5}, {0, 2, 2}, {1, 1, 9}, {1, 0, 2}}) {
    for (int i = 0; i < times; ++i) matrix.add(predicted, truth);
  }
  std::vector<std::tuple<int, int, int64_t>> found;
  for (const auto& one : matrix.confusions(3)) found.emplace_back(one.truth, one.predicted, one.count);
  EXPECT_EQ(found, (std::vector<std::tuple<int, int, int64_t>>{{2, 0, 5}, {0, 1, 2}, {0, 2, 2}}));
  EXPECT_EQ(matrix.confusions(100).size(), 4u);
}

TEST(ConfusionMatrixTest, Errors) {
  EXPECT_EQ(error_of([] { ConfusionMatrix(0); }), "value: a confusion matrix needs at least one class, asked for 0");
  EXPECT_EQ(error_of([] { ConfusionMatrix(kPredictedClasses, kTrueClasses, 3); }),
            "value: expected a true class of 0 to 2, found 3");
  EXPECT_EQ(error_of([] { ConfusionMatrix(2).add(-1, 0); }), "value: expected a predicted class of 0 to 1, found -1");
  EXPECT_EQ(error_of([] { ConfusionMatrix(std::vector<int>{0}, std::vector<int>{}, 1); }),
            "value: expected as many predictions as true classes, found 1 and 0");
}

TEST(ClassificationTest, ClassScores) {
  const std::vector<ClassScores> all = class_scores(example());
  ASSERT_EQ(all.size(), 5u);
  const double expected[5][3] = {
      {2. / 3, 2. / 3, 2. / 3}, {0.6, 0.75, 2. / 3}, {2. / 3, 2. / 3, 2. / 3}, {1, 0.5, 2. / 3}, {0, 0, 0}};
  const int64_t support[5] = {3, 4, 3, 2, 0};
  for (size_t c = 0; c < 5; ++c) {
    EXPECT_DOUBLE_EQ(all[c].scores.precision, expected[c][0]) << c;
    EXPECT_DOUBLE_EQ(all[c].scores.recall, expected[c][1]) << c;
    EXPECT_DOUBLE_EQ(all[c].scores.f1, expected[c][2]) << c;
    EXPECT_EQ(all[c].support, support[c]) << c;
  }
}

TEST(ClassificationTest, Averages) {
  const Scores macro = macro_average(example()), weighted = weighted_average(example()),
               micro = micro_average(example());
  EXPECT_DOUBLE_EQ(macro.precision, 0.7333333333333333);  // over four classes, not five
  EXPECT_DOUBLE_EQ(macro.recall, 0.6458333333333334);
  EXPECT_DOUBLE_EQ(macro.f1, 0.6666666666666666);
  EXPECT_DOUBLE_EQ(weighted.precision, 0.7);
  EXPECT_DOUBLE_EQ(weighted.recall, 0.6666666666666666);
  EXPECT_DOUBLE_EQ(weighted.f1, 0.6666666666666666);
  EXPECT_DOUBLE_EQ(micro.precision, 0.6666666666666666);
  EXPECT_DOUBLE_EQ(micro.f1, 0.6666666666666666);
}

TEST(ClassificationTest, AClassThatIsOnlyPredictedCountsInMacro) {
  // Truth 0 0 0, predicted 0 0 1: F1 of class 0 is 0.8, of class 1 it is 0.
  const ConfusionMatrix matrix(std::vector<int>{0, 0, 1}, std::vector<int>{0, 0, 0}, 3);
  EXPECT_DOUBLE_EQ(macro_average(matrix).f1, 0.4);
  EXPECT_DOUBLE_EQ(balanced_accuracy(matrix), 2. / 3);  // recall over the true classes alone
  EXPECT_DOUBLE_EQ(weighted_average(matrix).f1, 0.8);
}

TEST(ClassificationTest, SingleNumbers) {
  EXPECT_DOUBLE_EQ(accuracy(example()), 0.6666666666666666);
  EXPECT_DOUBLE_EQ(balanced_accuracy(example()), 0.6458333333333334);
  EXPECT_DOUBLE_EQ(matthews_correlation(example()), 0.543920082920068);
  EXPECT_DOUBLE_EQ(cohens_kappa(example()), 0.5384615384615384);
}

TEST(ClassificationTest, BinaryMatthews) {
  // TP 3, TN 5, FP 1, FN 1: (15 - 1) / sqrt(4 * 4 * 6 * 6).
  const ConfusionMatrix matrix(std::vector<int>{1, 1, 1, 0, 1, 0, 0, 0, 0, 0},
                               std::vector<int>{1, 1, 1, 1, 0, 0, 0, 0, 0, 0}, 2);
  EXPECT_DOUBLE_EQ(matthews_correlation(matrix), 14.0 / 24.0);
}

TEST(ClassificationTest, PerfectOppositeAndConstant) {
  const std::vector<int> zero_one = {0, 1, 0, 1}, one_zero = {1, 0, 1, 0}, ones = {1, 1, 1, 1};
  EXPECT_DOUBLE_EQ(matthews_correlation({zero_one, zero_one, 2}), 1);
  EXPECT_DOUBLE_EQ(cohens_kappa({zero_one, zero_one, 2}), 1);
  EXPECT_DOUBLE_EQ(matthews_correlation({one_zero, zero_one, 2}), -1);
  EXPECT_DOUBLE_EQ(cohens_kappa({one_zero, zero_one, 2}), -1);
  EXPECT_EQ(matthews_correlation({ones, zero_one, 2}), 0);
  EXPECT_EQ(cohens_kappa({ones, zero_one, 2}), 0);
  EXPECT_EQ(matthews_correlation({ones, ones, 2}), 0);
  EXPECT_TRUE(std::isnan(cohens_kappa({ones, ones, 2})));
}

TEST(ClassificationTest, NoRowsGiveNaN) {
  const ConfusionMatrix none(3);
  for (const double value : {accuracy(none), balanced_accuracy(none), matthews_correlation(none), cohens_kappa(none),
                             macro_average(none).f1, micro_average(none).f1, weighted_average(none).precision}) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST(ClassificationTest, RenamingClassesChangesNothing) {
  Rng rng(7, RandomStream::kTest);
  std::vector<int> truth, predicted, truth2, predicted2;
  const int renamed[4] = {2, 0, 3, 1};
  for (int i = 0; i < 200; ++i) {
    truth.push_back(static_cast<int>(rng.below(4)));
    predicted.push_back(rng.below(2) == 0 ? truth.back() : static_cast<int>(rng.below(4)));
    truth2.push_back(renamed[truth.back()]);
    predicted2.push_back(renamed[predicted.back()]);
  }
  const ConfusionMatrix a(predicted, truth, 4), b(predicted2, truth2, 4);
  EXPECT_NEAR(macro_average(a).f1, macro_average(b).f1, 1e-12);
  EXPECT_NEAR(matthews_correlation(a), matthews_correlation(b), 1e-12);
  EXPECT_NEAR(cohens_kappa(a), cohens_kappa(b), 1e-12);
  // Exchanging truth and prediction leaves the symmetric ones alone and swaps precision with recall.
  const ConfusionMatrix swapped(truth, predicted, 4);
  EXPECT_NEAR(matthews_correlation(a), matthews_correlation(swapped), 1e-12);
  EXPECT_NEAR(macro_average(a).precision, macro_average(swapped).recall, 1e-12);
}

}  // namespace
}  // namespace cloze
