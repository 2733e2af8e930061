// Metrics of class probabilities: log loss, calibration error, ROC AUC. Probabilities are [n, C], row by row.
// Of no rows, and where a probability is NaN, every metric is NaN.
#pragma once

#include <span>

namespace cloze {

/// Mean of -log p(true class), p clipped to [eps, 1 - eps] with double's epsilon, as scikit-learn does.
/// Errors: kValue if the sizes do not fit each other or a class is outside [0, C).
double log_loss(std::span<const double> probabilities, std::span<const int> truth, int classes);

/// Expected calibration error (Guo et al. 2017): rows are put into `bins` equal bins (lower, upper] of the largest
/// probability; the mean over rows of |share of right rows - mean confidence| of their bin. The prediction is the
/// largest probability, the first among equals. Errors: as log_loss(), and kValue unless bins >= 1.
double calibration_error(std::span<const double> probabilities, std::span<const int> truth, int classes, int bins = 15);

/// Area under the ROC curve: the chance that a row of class 1 scores above a row of class 0, ties counted half.
/// NaN unless both classes occur. Errors: kValue if lengths differ or a class is neither 0 nor 1.
double roc_auc(std::span<const double> scores, std::span<const int> truth);

}  // namespace cloze
