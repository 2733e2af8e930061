// Classical classifiers on vectors: fitted on a frozen encoder's vectors in seconds, saved beside its model.
//
// Dimensions: n rows, d numbers a row, C classes, M = C margins (1 for two classes), k neighbours.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cloze/io/model_dir.h"
#include "cloze/io/safetensors.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

/// The rows that a classifier learns from.
struct LabelledVectors {
  Tensor x;                        ///< [n,d] F32, finite
  std::span<const int> labels;     ///< [n], each in [0, classes)
  int classes;                     ///< C >= 2, each with a row
  std::span<const float> weights;  ///< [n] of the rows, finite and not negative; empty: all 1
  std::vector<std::string> names;  ///< of the classes, for messages; empty: their numbers
};

/// What to fit and how. Which fields count depends on `classifier`.
struct ClassifierOptions {
  std::string classifier = "linear";
  double c = 0;
  int64_t folds = 0;
  bool no_standardize = false;
  int64_t k = 0;
  std::string distance = "cosine";
  std::string vote = "distance";
  double shrinkage = -1;
  int64_t mlp_hidden = 128;
  int64_t mlp_epochs = 100;
  double mlp_learning_rate = 1e-3;

  /// Errors: kUsage for an unknown word or an option out of range.
  void check() const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("classifier", classifier, "linear (logistic regression), svm, knn, prototype or mlp");
    visitor("c", c, "linear, svm: weight of the loss against the L2 penalty; 0: chosen by cross-validation");
    visitor("folds", folds,
            "linear, svm: folds of the cross-validation; 0: five, or as many as the rarest class has rows");
    visitor("no_standardize", no_standardize,
            "linear, svm: take features as they are, not brought to mean 0 and deviation 1");
    visitor("k", k, "knn: neighbours that vote; 0: chosen by leaving one row out");
    visitor("distance", distance, "knn, prototype: cosine or euclidean; prototype: also mahalanobis");
    visitor("vote", vote, "knn: distance (nearer neighbours count more) or majority");
    visitor("shrinkage", shrinkage, "prototype by mahalanobis: share of the scaled identity; -1: Ledoit and Wolf's");
    visitor("mlp_hidden", mlp_hidden, "mlp: units of the hidden layer");
    visitor("mlp_epochs", mlp_epochs, "mlp: most passes over the rows; it stops where held-out rows get worse");
    visitor("mlp_learning_rate", mlp_learning_rate, "mlp: highest learning rate");
  }
};

/// A fitted classifier. Thread-safe; a row's scores have the same bits alone and among any other rows.
class Classifier {
 public:
  virtual ~Classifier() = default;
  /// "linear", "svm", "knn", "prototype" or "mlp".
  const std::string& kind() const { return kind_; }
  int64_t dimension() const { return dimension_; }
  int classes() const { return classes_; }

  /// x[n,d] F32 -> [n,C] F32, larger is better: the class of a row is that of its first largest score. What a score is
  /// stands in the header of each kind. Errors: kShape; kValue for a number that is not finite, in x or
  /// in the scores.
  Tensor scores(const Tensor& x) const;
  /// x[n,d] F32 -> [n,C] F32, not negative, each row's sum 1 up to rounding. They fall and rise with the scores, but
  /// rounding may make the largest ones equal. Errors: as scores().
  Tensor probabilities(const Tensor& x) const;

  /// The settings that a file keeps beside tensors(): numbers, words and flags.
  virtual Json settings() const = 0;
  virtual std::vector<NamedTensor> tensors() const = 0;
  /// How the fit went, a line each; empty after loading.
  std::vector<std::string> summary;

 protected:
  Classifier(std::string kind, int64_t dimension, int classes)
      : kind_(std::move(kind)), dimension_(dimension), classes_(classes) {}
  /// Both of checked rows.
  virtual Tensor score_rows(const Tensor& x) const = 0;
  virtual Tensor probability_rows(const Tensor& x) const = 0;

 private:
  Tensor checked(const Tensor& x) const;
  std::string kind_;
  int64_t dimension_;
  int classes_;
};

/// Errors: kShape where sizes do not fit each other; kValue for features that are not finite, labels or weights out of
/// range, fewer than two classes, a class without rows (or whose rows all weigh 0), fewer rows of a class than the
/// folds asked for, k over the count of rows; kUsage as ClassifierOptions::check; kUnsupported for weights with `knn`,
/// and with `linear` and `svm` for rows of one class that weigh differently.
/// The same bits for the same arguments.
std::unique_ptr<Classifier> fit_classifier(const LabelledVectors& data, const ClassifierOptions& options,
                                           uint64_t seed);

/// The files of a classifier in a model directory.
inline constexpr const char* kClassifierSettings = "classifier.json";
inline constexpr const char* kClassifierTensors = "classifier.safetensors";

/// Writes both files, each whole or not at all, the tensors last and with a copy of the settings. Errors: kIo.
void save_classifier(const Classifier& classifier, const ModelFiles& files);
/// A classifier with the same bits. Errors: kNotFound, kIo; kFormat for settings or tensors that are missing, unknown,
/// of another type or shape, or of two different saves; kValue for numbers that are not finite or out of range;
/// kUnsupported for a kind that this version does not know.
std::unique_ptr<Classifier> load_classifier(const ModelFiles& files);

}  // namespace cloze
