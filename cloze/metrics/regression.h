// Metrics of predicted numbers. All throw kValue if the lengths differ; of no rows, and where a value is NaN, they
// give NaN.
#pragma once

#include <span>

namespace cloze {

/// Linear correlation. NaN for fewer than two rows or where one side is constant.
double pearson(std::span<const double> predicted, std::span<const double> truth);
/// Correlation of ranks, ties averaged. NaN as pearson().
double spearman(std::span<const double> predicted, std::span<const double> truth);

double mean_squared_error(std::span<const double> predicted, std::span<const double> truth);
double mean_absolute_error(std::span<const double> predicted, std::span<const double> truth);

/// Share of the truth's variance that is explained; may be negative. NaN for fewer than two rows; of a constant truth,
/// 1 if the predictions are exact and else 0 (as scikit-learn).
double r_squared(std::span<const double> predicted, std::span<const double> truth);

}  // namespace cloze
