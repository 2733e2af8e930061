// Which rows take part in the choice of a penalty.
#include "cloze/transfer/classifier_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cloze/base/rng.h"
#include "cloze/transfer/classifier.h"

namespace cloze {
namespace {

/// One number a row that is near its class; `rows[c]` rows of class c.
struct LinePoints {
  Tensor x;
  std::vector<int> labels;
  int classes;

  explicit LinePoints(const std::vector<int64_t>& rows) : classes(static_cast<int>(rows.size())) {
    for (size_t c = 0; c < rows.size(); ++c)
      labels.insert(labels.end(), static_cast<size_t>(rows[c]), static_cast<int>(c));
    x = Tensor({static_cast<int64_t>(labels.size()), 1}, DType::kF32);
    Rng rng(5, RandomStream::kTest);
    for (size_t i = 0; i < labels.size(); ++i) x.data<float>()[i] = static_cast<float>(labels[i] + 0.1 * rng.normal());
  }
  LabelledVectors data() const { return {x, labels, classes, {}, {}}; }
};

TEST(StratifiedSampleTest, KeepsSharesAndSomeOfEachRareClass) {
  const LinePoints points({900, 90, 10});
  const std::vector<size_t> sample = stratified_sample(points.data(), 100, 5, 1);
  std::vector<int> of_class(3);
  for (const size_t row : sample) ++of_class[static_cast<size_t>(points.labels[row])];
  EXPECT_THAT(of_class, testing::ElementsAre(90, 9, 5));
  EXPECT_TRUE(std::ranges::is_sorted(sample));
  EXPECT_EQ(std::ranges::adjacent_find(sample), sample.end());
  EXPECT_EQ(stratified_sample(points.data(), 1000, 5, 1).size(), 1000u);
}

TEST(LinearClassifierTest, ARareClassAmongManyRowsIsInEachFold) {
  // Six of 12,006 rows: their share of the 8000 rows that choose C would be three, for five folds.
  const LinePoints points({12'000, 6});
  ClassifierOptions options;
  options.classifier = "linear";
  const std::unique_ptr<Classifier> fitted = fit_classifier(points.data(), options, 1);
  EXPECT_THAT(fitted->summary, testing::Contains(testing::HasSubstr("in 5-fold cross-validation of 8001 rows")));
}

TEST(LinearClassifierTest, ManyClassesChooseFromFewerRows) {
  const LinePoints points(std::vector<int64_t>(40, 110));
  ClassifierOptions options;
  options.classifier = "svm";
  options.c = 1;
  const std::unique_ptr<Classifier> fitted = fit_classifier(points.data(), options, 1);
  EXPECT_THAT(fitted->summary, testing::Contains(testing::HasSubstr("in 5-fold cross-validation of 4000 rows")));
}

}  // namespace
}  // namespace cloze
