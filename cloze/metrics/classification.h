// Metrics of single-label classification, from predicted and true class ids. Classes are 0 to C-1.
//
// Averages follow scikit-learn with zero_division=0: a ratio without denominator is 0, and a class that occurs neither
// in the truth nor among the predictions takes no part in macro averages. Of no rows, every metric is NaN.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cloze {

/// How often each (true, predicted) pair of classes occurred. Sparse: memory grows with the pairs seen, and with C.
class ConfusionMatrix {
 public:
  /// Errors: kValue unless C >= 1.
  explicit ConfusionMatrix(int classes);
  /// Errors: kValue if lengths differ or an id is outside [0, C).
  ConfusionMatrix(std::span<const int> predicted, std::span<const int> truth, int classes);

  /// Counts one row. Errors: kValue for an id outside [0, C).
  void add(int predicted, int truth);

  int classes() const { return static_cast<int>(truth_.size()); }
  int64_t total() const { return total_; }
  int64_t correct() const { return correct_; }
  int64_t count(int truth, int predicted) const;
  int64_t truth_count(int class_id) const { return truth_[static_cast<size_t>(class_id)]; }
  int64_t predicted_count(int class_id) const { return predicted_[static_cast<size_t>(class_id)]; }

  struct Confusion {
    int truth, predicted;
    int64_t count;
  };
  /// Pairs with truth != predicted, most frequent first (ties: by truth, then predicted), at most `most`.
  std::vector<Confusion> confusions(size_t most) const;

 private:
  std::unordered_map<int64_t, int64_t> pairs_;  ///< truth * C + predicted -> count
  std::vector<int64_t> truth_, predicted_;
  int64_t total_ = 0, correct_ = 0;
};

/// Precision, recall and F1 of one class or of an average.
struct Scores {
  double precision, recall, f1;
};

struct ClassScores {
  Scores scores;
  int64_t support;    ///< rows whose truth is the class
  int64_t predicted;  ///< rows predicted as the class
};

/// Of every class, in order of ids; 0 where there is no denominator.
std::vector<ClassScores> class_scores(const ConfusionMatrix& matrix);

Scores macro_average(const ConfusionMatrix& matrix);     ///< plain mean over the classes that occur
Scores micro_average(const ConfusionMatrix& matrix);     ///< of pooled counts: equal to accuracy, all three
Scores weighted_average(const ConfusionMatrix& matrix);  ///< mean weighted by support

double accuracy(const ConfusionMatrix& matrix);
/// Mean recall of the classes that occur in the truth.
double balanced_accuracy(const ConfusionMatrix& matrix);
/// Matthews correlation, R_K of Gorodkin (2004) for several classes. 0 where truth or prediction is constant.
double matthews_correlation(const ConfusionMatrix& matrix);
/// Agreement beyond chance. NaN where chance agreement is 1 (one and the same class everywhere).
double cohens_kappa(const ConfusionMatrix& matrix);

}  // namespace cloze
