#include "cloze/metrics/classification.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "cloze/base/error.h"
#include "cloze/metrics/nan.h"

namespace cloze {
namespace {

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Mean of the classes' scores under weights that `weight_of` gives; NaN of no rows.
template <class WeightOf>
Scores average(const ConfusionMatrix& matrix, WeightOf weight_of) {
  double weights = 0;
  Scores sum = {0, 0, 0};
  for (const ClassScores& one : class_scores(matrix)) {
    const double weight = weight_of(one);
    weights += weight;
    sum.precision += weight * one.scores.precision;
    sum.recall += weight * one.scores.recall;
    sum.f1 += weight * one.scores.f1;
  }
  return {sum.precision / weights, sum.recall / weights, sum.f1 / weights};
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes) {
  CLOZE_CHECK(classes >= 1, ErrorCode::kValue, "a confusion matrix needs at least one class, asked for {}", classes);
  truth_.resize(static_cast<size_t>(classes));
  predicted_.resize(static_cast<size_t>(classes));
}

ConfusionMatrix::ConfusionMatrix(std::span<const int> predicted, std::span<const int> truth, int classes)
    : ConfusionMatrix(classes) {
  CLOZE_CHECK(predicted.size() == truth.size(), ErrorCode::kValue,
              "expected as many predictions as true classes, found {} and {}", predicted.size(), truth.size());
  for (size_t i = 0; i < truth.size(); ++i) add(predicted[i], truth[i]);
}

void ConfusionMatrix::add(int predicted, int truth) {
  const int last = classes() - 1;
  CLOZE_CHECK(truth >= 0 && truth <= last, ErrorCode::kValue, "expected a true class of 0 to {}, found {}", last,
              truth);
  CLOZE_CHECK(predicted >= 0 && predicted <= last, ErrorCode::kValue, "expected a predicted class of 0 to {}, found {}",
              last, predicted);
  ++pairs_[int64_t{truth} * classes() + predicted];
  ++truth_[static_cast<size_t>(truth)];
  ++predicted_[static_cast<size_t>(predicted)];
  ++total_;
  correct_ += truth == predicted ? 1 : 0;
}

int64_t ConfusionMatrix::count(int truth, int predicted) const {
  const auto it = pairs_.find(int64_t{truth} * classes() + predicted);
  return it == pairs_.end() ? 0 : it->second;
}

std::vector<ConfusionMatrix::Confusion> ConfusionMatrix::confusions(size_t most) const {
  std::vector<Confusion> found;
  for (const auto& [pair, count] : pairs_) {
    const int truth = static_cast<int>(pair / classes()), predicted = static_cast<int>(pair % classes());
    if (truth != predicted) found.push_back({truth, predicted, count});
  }
  std::sort(found.begin(), found.end(), [](const Confusion& a, const Confusion& b) {
    return std::tuple(-a.count, a.truth, a.predicted) < std::tuple(-b.count, b.truth, b.predicted);
  });
  found.resize(std::min(found.size(), most));
  return found;
}

std::vector<ClassScores> class_scores(const ConfusionMatrix& matrix) {
  std::vector<ClassScores> all;
  for (int c = 0; c < matrix.classes(); ++c) {
    const int64_t hits = matrix.count(c, c), support = matrix.truth_count(c), predicted = matrix.predicted_count(c);
    all.push_back(
        {{ratio(hits, predicted), ratio(hits, support), ratio(2 * hits, predicted + support)}, support, predicted});
  }
  return all;
}

Scores macro_average(const ConfusionMatrix& matrix) {
  return average(matrix, [](const ClassScores& one) { return one.support + one.predicted > 0 ? 1.0 : 0.0; });
}

Scores micro_average(const ConfusionMatrix& matrix) {
  const double value = accuracy(matrix);
  return {value, value, value};
}

Scores weighted_average(const ConfusionMatrix& matrix) {
  return average(matrix, [](const ClassScores& one) { return static_cast<double>(one.support); });
}

double accuracy(const ConfusionMatrix& matrix) {
  return matrix.total() == 0 ? kNaN : ratio(matrix.correct(), matrix.total());
}

double balanced_accuracy(const ConfusionMatrix& matrix) {
  return average(matrix, [](const ClassScores& one) { return one.support > 0 ? 1.0 : 0.0; }).recall;
}

double matthews_correlation(const ConfusionMatrix& matrix) {
  if (matrix.total() == 0) return kNaN;
  const double rows = static_cast<double>(matrix.total()), hits = static_cast<double>(matrix.correct());
  double both = 0, predicted_squares = 0, truth_squares = 0;
  for (int c = 0; c < matrix.classes(); ++c) {
    const double predicted = static_cast<double>(matrix.predicted_count(c));
    const double truth = static_cast<double>(matrix.truth_count(c));
    both += predicted * truth;
    predicted_squares += predicted * predicted;
    truth_squares += truth * truth;
  }
  const double predicted_spread = rows * rows - predicted_squares, truth_spread = rows * rows - truth_squares;
  if (predicted_spread == 0 || truth_spread == 0) return 0;
  return (hits * rows - both) / (std::sqrt(predicted_spread) * std::sqrt(truth_spread));
}

double cohens_kappa(const ConfusionMatrix& matrix) {
  const double rows = static_cast<double>(matrix.total());
  double chance = 0;  // rows^2 times the agreement that chance alone would give
  for (int c = 0; c < matrix.classes(); ++c) {
    chance += static_cast<double>(matrix.predicted_count(c)) * static_cast<double>(matrix.truth_count(c));
  }
  if (chance == rows * rows) return kNaN;  // no rows among them
  return (static_cast<double>(matrix.correct()) * rows - chance) / (rows * rows - chance);
}

}  // namespace cloze
