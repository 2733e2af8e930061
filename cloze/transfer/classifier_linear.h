// Classifiers whose scores are one product: linear (logistic regression), svm, and prototype.
//
//   margins  m = W x + b, W [M,d], b [M]; in rows of unit length (x / |x|) where `rows` says so
//   scores   M = C: m.  Two classes with one margin (M = 1): -m and m
//
//   linear     probabilities: 1 / (1 + exp(-s_c)) of each class against the rest, divided by their sum; of two classes
//              with one margin exactly the logistic function of m
//   svm        softmax(a s), a fitted to margins of rows that were held out in the folds (fit_score_scale)
//   prototype  softmax(a s), a fitted to scores that leave each row out of its class mean
//
// The file holds W as "weight" and b as "bias", F32, with standardisation folded in: for features (x - mean) /
// deviation with weights v and intercept u, W = v / deviation and b = u - sum v mean / deviation. A constant feature
// has W = 0.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cloze/transfer/classifier.h"

namespace cloze {

enum class ScoreLink : uint8_t { kSigmoids, kSoftmax };
enum class RowLength : uint8_t { kAsIs, kUnit };

struct LinearRule {
  Tensor weight, bias;  ///< [M,d], [M]
  ScoreLink link;
  RowLength rows;
  double scale;    ///< a of the softmax; 1 for sigmoids
  Json fitted_by;  ///< what the fit chose, e.g. {"c": 0.1}; kept in the file, not used
};

class LinearClassifier : public Classifier {
 public:
  LinearClassifier(std::string kind, int classes, LinearRule rule);
  /// Reads what settings() and tensors() gave; `where` names the settings' file. Errors: those of load_classifier.
  static std::unique_ptr<Classifier> load(const std::string& kind, int64_t dimension, int classes, const Json& settings,
                                          const SafetensorsFile& file, const std::string& where);
  Json settings() const override;
  std::vector<NamedTensor> tensors() const override;
  const LinearRule& rule() const { return rule_; }

 protected:
  Tensor score_rows(const Tensor& x) const override;
  Tensor probability_rows(const Tensor& x) const override;

 private:
  LinearRule rule_;
};

/// The C that cross-validation tries, from strong to weak penalty.
std::span<const double> penalty_grid();

/// `linear` and `svm`. Where options.c is 0, C is the one of the grid with the most right held-out rows, among equals
/// the smallest; the walk up the grid ends after two values in a row that are worse than the best so far. At most 8000
/// rows take part in the choice, with more than 20 classes at most 160,000 / classes, but 2000 in any case, and at
/// least as many of each class as there are folds. Standardisation uses all rows, also those of the fold in hand. svm
/// needs the folds for its scale even where C is given. A class with a single row leaves nothing to hold out: C is then
/// 1 and the scale 1, which the summary says. Weights of classes multiply C: of two classes each by its own; of more, a
/// class by its own against 1 of the rest, as LIBLINEAR does it. In the choice of C a right row counts its weight; the
/// scale of svm takes all rows alike. Errors: kUnsupported for rows of one class that weigh differently.
std::unique_ptr<Classifier> fit_linear(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed);

/// `prototype`: the class of the nearest class mean m_c (weighted by row weights). With W_c x + b_c as the score:
///   cosine        W_c = m_c / |m_c|, b_c = 0, x of unit length: the cosine (0 for a row or a mean of zeros)
///   euclidean     W_c = m_c, b_c = -|m_c|^2 / 2: the score is (|x|^2 - |x - m_c|^2) / 2
///   mahalanobis   W_c = S^-1 m_c, b_c = -m_c S^-1 m_c / 2: the same with x S^-1 y for x y, S the covariance within
///                 classes, shrunk to (1 - r) S + r tr(S)/d I; r is options.shrinkage, or by Ledoit and Wolf
/// Errors: as fit_classifier; kValue for mahalanobis where all rows equal their class mean.
std::unique_ptr<Classifier> fit_prototype(const LabelledVectors& data, const ClassifierOptions& options);

}  // namespace cloze
