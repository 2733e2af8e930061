#include "cloze/metrics/regression.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/metrics/nan.h"
#include "cloze/metrics/ranks.h"

namespace cloze {
namespace {

using Numbers = std::span<const double>;

void check_lengths(Numbers predicted, Numbers truth) {
  CLOZE_CHECK(predicted.size() == truth.size(), ErrorCode::kValue,
              "expected as many predictions as true values, found {} and {}", predicted.size(), truth.size());
}

bool has_nan(Numbers values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

bool is_constant(Numbers values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values[0]; });
}

double mean(Numbers values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Mean of `error_of(predicted - truth)`.
template <class ErrorOf>
double mean_error(Numbers predicted, Numbers truth, ErrorOf error_of) {
  check_lengths(predicted, truth);
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += error_of(predicted[i] - truth[i]);
  return sum / static_cast<double>(truth.size());
}

}  // namespace

double pearson(Numbers predicted, Numbers truth) {
  check_lengths(predicted, truth);
  // Constancy is asked of the values: the rounded mean of a constant leaves a variance that is not quite 0.
  if (truth.size() < 2 || is_constant(predicted) || is_constant(truth)) return kNaN;
  const double predicted_mean = mean(predicted), truth_mean = mean(truth);
  double both = 0, predicted_squares = 0, truth_squares = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double p = predicted[i] - predicted_mean, t = truth[i] - truth_mean;
    both += p * t;
    predicted_squares += p * p;
    truth_squares += t * t;
  }
  return std::clamp(both / (std::sqrt(predicted_squares) * std::sqrt(truth_squares)), -1.0, 1.0);
}

double spearman(Numbers predicted, Numbers truth) {
  check_lengths(predicted, truth);
  if (has_nan(predicted) || has_nan(truth)) return kNaN;
  return pearson(average_ranks(predicted), average_ranks(truth));
}

double mean_squared_error(Numbers predicted, Numbers truth) {
  return mean_error(predicted, truth, [](double error) { return error * error; });
}

double mean_absolute_error(Numbers predicted, Numbers truth) {
  return mean_error(predicted, truth, [](double error) { return std::abs(error); });
}

double r_squared(Numbers predicted, Numbers truth) {
  check_lengths(predicted, truth);
  if (truth.size() < 2 || has_nan(predicted) || has_nan(truth)) return kNaN;
  const double truth_mean = mean(truth);
  double left = 0, spread = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    left += (predicted[i] - truth[i]) * (predicted[i] - truth[i]);
    spread += (truth[i] - truth_mean) * (truth[i] - truth_mean);
  }
  if (is_constant(truth)) return left == 0 ? 1 : 0;
  return 1 - left / spread;
}

}  // namespace cloze
