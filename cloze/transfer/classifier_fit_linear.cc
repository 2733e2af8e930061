#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/thread_team.h"
#include "cloze/transfer/classifier_liblinear.h"
#include "cloze/transfer/classifier_linear.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

constexpr double kGrid[] = {1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100};
constexpr double kFoldTolerance = 1e-2, kTolerance = 1e-6;
// Rows of cross-validation, and those times the problems (one a class): with 77 classes, 2077 rows. A choice among
// seven values needs no more, and each of them costs as many fits as there are folds times problems.
constexpr size_t kMostFoldRows = 8000, kMostFoldWork = 160'000, kLeastFoldRows = 2000;

/// [C]: all rows of a class weigh the same.
std::vector<double> weights_of_classes(const LabelledVectors& data) {
  std::vector<double> weights(static_cast<size_t>(data.classes), data.weights.empty() ? 1.0 : -1.0);
  for (size_t row = 0; row < data.weights.size(); ++row) {
    double& weight = weights[static_cast<size_t>(data.labels[row])];
    const double own = static_cast<double>(data.weights[row]);
    CLOZE_CHECK(weight < 0 || weight == own, ErrorCode::kUnsupported,
                "[classifier] rows of {} weigh {} and {}: linear and svm take weights of classes, not of rows",
                class_name(data, data.labels[row]), weight, own);
    weight = own;
  }
  return weights;
}

/// The rows as LIBLINEAR takes them; one problem for two classes, else one for each class against the rest.
struct Problem {
  const LabelledVectors& data;
  ColumnScale scale;
  MarginRows rows;
  MarginLoss loss;
  std::vector<double> class_weights;  ///< [C]

  Problem(const LabelledVectors& d, const ClassifierOptions& options)
      : data(d),
        scale(column_scale(d.x)),
        rows(d.x, options.no_standardize ? nullptr : &scale),
        loss(options.classifier == "svm" ? MarginLoss::kSquaredHinge : MarginLoss::kLogistic),
        class_weights(weights_of_classes(d)) {}

  size_t margins() const { return data.classes == 2 ? 1 : static_cast<size_t>(data.classes); }
  /// Which rows are +1 in problem m.
  std::vector<char> positive(size_t m) const {
    const int own = data.classes == 2 ? 1 : static_cast<int>(m);
    std::vector<char> signs;
    for (const int label : data.labels) signs.push_back(label == own);
    return signs;
  }
  /// Of two classes each has its weight; of more, the class in question has its own against 1 of the rest.
  SignWeights sign_weights(size_t m) const {
    if (data.classes == 2) return {.positive = class_weights[1], .negative = class_weights[0]};
    return {.positive = class_weights[m], .negative = 1};
  }
  double weight(size_t row) const { return class_weights[static_cast<size_t>(data.labels[row])]; }
};

/// Of each fold and problem.
using WeightRows = std::vector<std::vector<double>>;

/// Held-out scores [sample,C] for one C, problem by problem and fold by fold.
struct HeldOut {
  std::vector<double> scores;
  double right = 0;  ///< the weights of the rows that are right
};

class Folds {
 public:
  Folds(const Problem& problem, std::vector<size_t> sample, int64_t count, uint64_t seed)
      : problem_(problem),
        sample_(std::move(sample)),
        fold_(stratified_folds(problem.data, sample_, count, seed)),
        count_(static_cast<size_t>(count)),
        weights_(count_ * problem.margins()) {}

  HeldOut measure(double c) {
    const size_t M = problem_.margins(), C = static_cast<size_t>(problem_.data.classes);
    HeldOut result;
    result.scores.resize(sample_.size() * C);
    thread_team().for_ranges(static_cast<int64_t>(weights_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) fit_and_score(static_cast<size_t>(i), c, M, C, result.scores);
    });
    for (size_t i = 0; i < sample_.size(); ++i) {
      const auto row = result.scores.begin() + static_cast<std::ptrdiff_t>(i * C);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(C)) - row;
      if (best == problem_.data.labels[sample_[i]]) result.right += problem_.weight(sample_[i]);
    }
    return result;
  }
  const std::vector<size_t>& sample() const { return sample_; }

 private:
  void fit_and_score(size_t task, double c, size_t M, size_t C, std::vector<double>& scores) {
    const size_t fold = task / M, m = task % M;
    std::vector<size_t> rows;
    for (size_t i = 0; i < sample_.size(); ++i)
      if (static_cast<size_t>(fold_[i]) != fold) rows.push_back(sample_[i]);
    // From the weights of the C before: nearer than 0.
    std::vector<double>& weights = weights_[task];
    weights = fit_margin(problem_.rows, rows, problem_.positive(m), problem_.loss, c, problem_.sign_weights(m),
                         kFoldTolerance, weights);
    for (size_t i = 0; i < sample_.size(); ++i) {
      if (static_cast<size_t>(fold_[i]) != fold) continue;
      const double margin = problem_.rows.margin(weights, sample_[i]);
      if (M == 1) {
        scores[2 * i] = -margin;
        scores[2 * i + 1] = margin;
      } else {
        scores[i * C + m] = margin;
      }
    }
  }

  const Problem& problem_;
  std::vector<size_t> sample_;
  std::vector<int> fold_;
  size_t count_;
  WeightRows weights_;
};

/// As many folds as were asked for; else kDefaultFolds, or as many as the rarest class has rows.
int64_t fold_count(const LabelledVectors& data, const ClassifierOptions& options) {
  if (options.folds != 0) return options.folds;
  std::vector<int64_t> rows(static_cast<size_t>(data.classes));
  for (const int label : data.labels) ++rows[static_cast<size_t>(label)];
  return std::min(kDefaultFolds, *std::ranges::min_element(rows));
}

struct Choice {
  double c = 1, scale = 1;
  std::vector<std::string> notes;
};

Choice choose(const Problem& problem, const ClassifierOptions& options, uint64_t seed) {
  Choice choice;
  if (options.c > 0) choice.c = options.c;
  const bool needs_scale = problem.loss == MarginLoss::kSquaredHinge;
  if (options.c > 0 && !needs_scale) return choice;
  const int64_t count = fold_count(problem.data, options);
  if (count < 2) {
    choice.notes.push_back(
        fmt::format("a class has one row only, which leaves nothing for cross-validation: c = {} was taken{}", choice.c,
                    needs_scale ? ", and probabilities are not calibrated" : ""));
    return choice;
  }
  const size_t most = std::clamp(kMostFoldWork / problem.margins(), kLeastFoldRows, kMostFoldRows);
  Folds folds(problem, stratified_sample(problem.data, most, static_cast<size_t>(count), seed), count, seed);
  HeldOut best;
  if (options.c > 0) {
    best = folds.measure(options.c);
  } else {
    int worse = 0;
    best.right = -1;
    for (const double c : kGrid) {
      HeldOut found = folds.measure(c);
      worse = found.right < best.right ? worse + 1 : 0;
      if (found.right > best.right) {
        best = std::move(found);
        choice.c = c;
      }
      if (worse == 2) break;
    }
  }
  double all = 0;
  for (const size_t row : folds.sample()) all += problem.weight(row);
  choice.notes.push_back(fmt::format(
      "c {} = {}: {}accuracy {:.4f} in {}-fold cross-validation of {} rows", options.c > 0 ? "given" : "chosen",
      choice.c, problem.data.weights.empty() ? "" : "weighted ", best.right / all, count, folds.sample().size()));
  if (needs_scale) {
    std::vector<int> labels;
    for (const size_t row : folds.sample()) labels.push_back(problem.data.labels[row]);
    choice.scale = fit_score_scale(best.scores, labels, problem.data.classes);
  }
  return choice;
}

}  // namespace

std::span<const double> penalty_grid() {
  return kGrid;
}

std::unique_ptr<Classifier> fit_linear(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed) {
  const Problem problem(data, options);
  Choice choice = choose(problem, options, seed);
  const int64_t M = static_cast<int64_t>(problem.margins()), d = data.x.shape()[1];
  LinearRule rule{Tensor({M, d}, DType::kF32),
                  Tensor({M}, DType::kF32),
                  problem.loss == MarginLoss::kLogistic ? ScoreLink::kSigmoids : ScoreLink::kSoftmax,
                  RowLength::kAsIs,
                  choice.scale,
                  Json{{"c", choice.c}}};
  std::vector<size_t> all(data.labels.size());
  std::iota(all.begin(), all.end(), size_t{0});
  thread_team().for_ranges(M, 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const size_t number = static_cast<size_t>(m);
      const std::vector<double> w = fit_margin(problem.rows, all, problem.positive(number), problem.loss, choice.c,
                                               problem.sign_weights(number), kTolerance, {});
      double bias = w.back();
      for (int64_t j = 0; j < d; ++j) {
        const size_t column = static_cast<size_t>(j);
        double own = w[column];
        if (!options.no_standardize) {
          own = problem.scale.deviation[column] > 0 ? own / problem.scale.deviation[column] : 0;
          bias -= own * problem.scale.mean[column];
        }
        rule.weight.data<float>()[m * d + j] = static_cast<float>(own);
      }
      rule.bias.data<float>()[m] = static_cast<float>(bias);
    }
  });
  auto classifier = std::make_unique<LinearClassifier>(options.classifier, data.classes, std::move(rule));
  classifier->summary = std::move(choice.notes);
  if (!options.no_standardize && problem.scale.constant > 0)
    classifier->summary.push_back(
        fmt::format("{} of {} features are the same in all rows and count for nothing", problem.scale.constant, d));
  return classifier;
}

}  // namespace cloze
