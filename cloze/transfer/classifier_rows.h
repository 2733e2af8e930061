// What the classifiers share: checks of their rows, standardisation, folds, and the scale of probabilities.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cloze/transfer/classifier.h"

namespace cloze {

/// Throws unless the rows are what LabelledVectors says.
void check_labelled(const LabelledVectors& data);

/// `class 3`, or `class "sports"` where names are given.
std::string class_name(const LabelledVectors& data, int number);

/// x / |x| by row; a row of zeros stays so. Norms are taken in f64.
Tensor unit_rows(const Tensor& x);
/// sum x^2 of one row, in f64, in order.
double squared_norm(std::span<const float> row);
/// Row `index` of x[n,d].
std::span<const float> row_of(const Tensor& x, int64_t index);

/// The mean and the deviation (with 1/n) of each column, in f64. A column counts as constant where its deviation is at
/// most 1e-6 of its largest absolute value, which is what f32's rounding leaves; it has deviation 0.
struct ColumnScale {
  std::vector<double> mean, deviation;
  int64_t constant = 0;  ///< columns with deviation 0

  /// (value - mean) / deviation; 0 in a constant column.
  double standard(size_t column, double value) const {
    return deviation[column] > 0 ? (value - mean[column]) / deviation[column] : 0.0;
  }
};
ColumnScale column_scale(const Tensor& x);

/// Folds of a cross-validation where --folds does not say.
constexpr int64_t kDefaultFolds = 5;

/// The fold, 0 to folds-1, of each of the rows `among`: rows of a class are put in random order and dealt out in turn,
/// each class going on where the last one ended, so that folds differ by at most one row, and by at most one of each
/// class. A pure function of (labels, folds, seed). Errors: kUsage for fewer than two folds; kValue for a class with
/// fewer rows than folds.
std::vector<int> stratified_folds(const LabelledVectors& data, std::span<const size_t> among, int64_t folds,
                                  uint64_t seed);

/// At most `most` rows, picked evenly from those of each class in random order, but at least `least` of each that has
/// them; all rows where there are no more. Rising.
std::vector<size_t> stratified_sample(const LabelledVectors& data, size_t most, size_t least, uint64_t seed);

/// The a in [0.01, 100] for which softmax(a scores) has the smallest log loss: "temperature scaling" with a = 1 / T
/// (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017). It keeps the order of the
/// classes. scores are [rows, classes]; labels of -1 are left out; 1 if none is left.
double fit_score_scale(std::span<const double> scores, std::span<const int> labels, int classes);

/// softmax(scale scores) of each row of [n,C], in f64, rounded to F32.
Tensor softmax_rows(const Tensor& scores, double scale);

}  // namespace cloze
