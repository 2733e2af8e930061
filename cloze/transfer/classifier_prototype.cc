#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "cloze/transfer/classifier_linear.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Of rows that are all too far apart or too many, the scale is fitted on this many.
constexpr size_t kMostScaleRows = 4000;

struct Means {
  Matrix sum;                  ///< [C,d] of weighted rows
  std::vector<double> weight;  ///< [C]
  Eigen::RowVectorXd mean(size_t c) const { return sum.row(static_cast<Eigen::Index>(c)) / weight[c]; }
};

class Prototypes {
 public:
  Prototypes(const LabelledVectors& data, const ClassifierOptions& options)
      : data_(data), cosine_(options.distance == "cosine") {
    const Tensor rows = cosine_ ? unit_rows(data.x) : data.x;
    x_ = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
             rows.data<float>(), rows.shape()[0], rows.shape()[1])
             .cast<double>();
    means_ = {Matrix::Zero(data.classes, x_.cols()), std::vector<double>(static_cast<size_t>(data.classes))};
    for (Eigen::Index i = 0; i < x_.rows(); ++i) {
      const size_t c = static_cast<size_t>(data.labels[static_cast<size_t>(i)]);
      means_.sum.row(static_cast<Eigen::Index>(c)) += weight(i) * x_.row(i);
      means_.weight[c] += weight(i);
    }
    if (options.distance == "mahalanobis") fit_covariance(options.shrinkage);
  }

  /// W_c and b_c of a class mean.
  std::pair<Eigen::RowVectorXd, double> rule_of(const Eigen::RowVectorXd& mean) const {
    if (cosine_) {
      const double norm = mean.norm();
      return {norm > 0 ? Eigen::RowVectorXd(mean / norm) : mean, 0};
    }
    const Eigen::RowVectorXd w = covariance_ ? Eigen::RowVectorXd(solver_.solve(mean.transpose()).transpose()) : mean;
    return {w, -w.dot(mean) / 2};
  }
  Eigen::RowVectorXd mean(size_t c) const { return means_.mean(c); }

  /// Scores [sample,C] that leave each row out of its own mean; labels of -1 where nothing is left of it.
  double scale(const std::vector<size_t>& sample) const {
    const size_t C = static_cast<size_t>(data_.classes);
    std::vector<std::pair<Eigen::RowVectorXd, double>> rules;
    for (size_t c = 0; c < C; ++c) rules.push_back(rule_of(mean(c)));
    std::vector<double> scores;
    std::vector<int> labels;
    for (const size_t row : sample) {
      const Eigen::Index i = static_cast<Eigen::Index>(row);
      const size_t own = static_cast<size_t>(data_.labels[row]);
      const double left = means_.weight[own] - weight(i);
      const bool alone = left <= 1e-9 * means_.weight[own];
      labels.push_back(alone ? -1 : data_.labels[row]);
      for (size_t c = 0; c < C; ++c) {
        const bool other = c != own || alone;
        const auto [w, b] =
            other ? rules[c] : rule_of((means_.sum.row(static_cast<Eigen::Index>(own)) - weight(i) * x_.row(i)) / left);
        scores.push_back(w.dot(x_.row(i)) + b);
      }
    }
    return fit_score_scale(scores, labels, data_.classes);
  }
  double shrinkage() const { return shrinkage_; }

 private:
  double weight(Eigen::Index row) const {
    return data_.weights.empty() ? 1.0 : static_cast<double>(data_.weights[static_cast<size_t>(row)]);
  }

  /// S = (1 - r) S + r tr(S)/d I; r by Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
  /// matrices", 2004, lemma 3.3: r = min(b^2, d^2) / d^2 with d^2 = |S - m I|^2 and b^2 = sum |x x^T - S|^2 / n^2.
  void fit_covariance(double asked) {
    const double n = static_cast<double>(x_.rows()), d = static_cast<double>(x_.cols());
    Matrix centred = x_;
    for (Eigen::Index i = 0; i < x_.rows(); ++i)
      centred.row(i) -= mean(static_cast<size_t>(data_.labels[static_cast<size_t>(i)]));
    Matrix covariance = centred.transpose() * centred / n;
    const double mu = covariance.trace() / d;
    CLOZE_CHECK(mu > 0, ErrorCode::kValue,
                "[classifier] all rows equal the mean of their class: mahalanobis needs rows that vary within a class; "
                "take --distance euclidean");
    const double squares = covariance.squaredNorm();
    const double spread = squares - d * mu * mu;
    double noise = 0;
    for (Eigen::Index i = 0; i < centred.rows(); ++i) noise += std::pow(centred.row(i).squaredNorm(), 2);
    noise = (noise / n - squares) / n;
    shrinkage_ = asked >= 0 ? asked : spread > 0 ? std::clamp(noise / spread, 0.0, 1.0) : 1.0;
    covariance *= 1 - shrinkage_;
    covariance.diagonal().array() += shrinkage_ * mu;
    solver_.compute(covariance);
    CLOZE_CHECK(solver_.info() == Eigen::Success && solver_.rcond() > 1e-14, ErrorCode::kValue,
                "[classifier] the covariance of {} numbers over {} rows cannot be inverted with --shrinkage {}: give a "
                "larger one, or -1 for Ledoit and Wolf's",
                x_.cols(), x_.rows(), shrinkage_);
    covariance_ = true;
  }

  const LabelledVectors& data_;
  bool cosine_, covariance_ = false;
  Matrix x_;
  Means means_;
  Eigen::LLT<Matrix> solver_;
  double shrinkage_ = 0;
};

}  // namespace

std::unique_ptr<Classifier> fit_prototype(const LabelledVectors& data, const ClassifierOptions& options) {
  const Prototypes prototypes(data, options);
  const int64_t C = data.classes, d = data.x.shape()[1];
  LinearRule rule{Tensor({C, d}, DType::kF32),
                  Tensor({C}, DType::kF32),
                  ScoreLink::kSoftmax,
                  options.distance == "cosine" ? RowLength::kUnit : RowLength::kAsIs,
                  prototypes.scale(stratified_sample(data, kMostScaleRows, 2, 0)),
                  Json{{"distance", options.distance}}};
  for (int64_t c = 0; c < C; ++c) {
    const auto [w, b] = prototypes.rule_of(prototypes.mean(static_cast<size_t>(c)));
    for (int64_t j = 0; j < d; ++j) rule.weight.data<float>()[c * d + j] = static_cast<float>(w(j));
    rule.bias.data<float>()[c] = static_cast<float>(b);
  }
  const bool mahalanobis = options.distance == "mahalanobis";
  if (mahalanobis) rule.fitted_by["shrinkage"] = prototypes.shrinkage();
  auto classifier = std::make_unique<LinearClassifier>("prototype", data.classes, std::move(rule));
  classifier->summary.push_back(
      fmt::format("the nearest of {} class means ({}{})", C, options.distance,
                  mahalanobis ? fmt::format(", shrinkage {:.3g}", prototypes.shrinkage()) : ""));
  return classifier;
}

}  // namespace cloze
