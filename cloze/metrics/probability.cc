#include "cloze/metrics/probability.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/metrics/nan.h"
#include "cloze/metrics/ranks.h"

namespace cloze {
namespace {

void check_sizes(std::span<const double> probabilities, std::span<const int> truth, int classes) {
  CLOZE_CHECK(classes >= 1 && probabilities.size() == truth.size() * static_cast<size_t>(classes), ErrorCode::kValue,
              "expected {} rows of {} probabilities, found {} numbers", truth.size(), classes, probabilities.size());
  for (const int one : truth) {
    CLOZE_CHECK(one >= 0 && one < classes, ErrorCode::kValue, "expected a true class of 0 to {}, found {}", classes - 1,
                one);
  }
}

}  // namespace

double log_loss(std::span<const double> probabilities, std::span<const int> truth, int classes) {
  check_sizes(probabilities, truth, classes);
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double p = probabilities[i * static_cast<size_t>(classes) + static_cast<size_t>(truth[i])];
    sum -= std::log(std::clamp(p, kEpsilon, 1 - kEpsilon));  // clamp hands NaN through
  }
  return sum / static_cast<double>(truth.size());
}

double calibration_error(std::span<const double> probabilities, std::span<const int> truth, int classes, int bins) {
  check_sizes(probabilities, truth, classes);
  CLOZE_CHECK(bins >= 1, ErrorCode::kValue, "expected at least one bin, found {}", bins);
  std::vector<double> gap(static_cast<size_t>(bins));  // right rows minus summed confidence
  const size_t width = static_cast<size_t>(classes);
  for (size_t i = 0; i < truth.size(); ++i) {
    const std::span<const double> row = probabilities.subspan(i * width, width);
    if (std::any_of(row.begin(), row.end(), [](double p) { return std::isnan(p); })) return kNaN;
    const auto top = std::max_element(row.begin(), row.end());
    const double at = std::clamp(std::ceil(*top * bins) - 1, 0.0, bins - 1.0);
    gap[static_cast<size_t>(at)] += (top - row.begin() == truth[i] ? 1.0 : 0.0) - *top;
  }
  double sum = 0;
  for (const double one : gap) sum += std::abs(one);
  return sum / static_cast<double>(truth.size());
}

double roc_auc(std::span<const double> scores, std::span<const int> truth) {
  CLOZE_CHECK(scores.size() == truth.size(), ErrorCode::kValue,
              "expected as many scores as true classes, found {} and {}", scores.size(), truth.size());
  const std::vector<double> ranks = average_ranks(scores);
  double positives = 0, rank_sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    CLOZE_CHECK(truth[i] == 0 || truth[i] == 1, ErrorCode::kValue, "expected a true class of 0 or 1, found {}",
                truth[i]);
    positives += truth[i];
    if (truth[i] == 1) rank_sum += ranks[i];
  }
  const double negatives = static_cast<double>(truth.size()) - positives;
  const bool defined = positives > 0 && negatives > 0 &&
                       std::none_of(scores.begin(), scores.end(), [](double score) { return std::isnan(score); });
  // Mann-Whitney: the positives' ranks less the ranks that they have among themselves.
  return defined ? (rank_sum - positives * (positives + 1) / 2) / (positives * negatives) : kNaN;
}

}  // namespace cloze
