#include "cloze/transfer/classifier.h"

#include <cmath>

#include "cloze/base/suggest.h"
#include "cloze/transfer/classifier_knn.h"
#include "cloze/transfer/classifier_linear.h"
#include "cloze/transfer/classifier_mlp.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

void check_word(const char* option, const std::string& word, const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& known : words) {
    if (word == known) return;
    list += (list.empty() ? "" : ", ") + known;
  }
  fail(ErrorCode::kUsage, "--{} must be one of {}; got \"{}\"{}", option, list, word, did_you_mean(word, words));
}

/// Weights from a file and features may be finite and their sums not.
Tensor finite(const Tensor& result) {
  for (const float value : result.values<float>())
    CLOZE_CHECK(std::isfinite(value), ErrorCode::kValue,
                "[classifier] the scores overflow: its weights, or the features, are too large");
  return result;
}

}  // namespace

void ClassifierOptions::check() const {
  check_word("classifier", classifier, {"linear", "svm", "knn", "prototype", "mlp"});
  check_word("vote", vote, {"distance", "majority"});
  check_word("distance", distance, {"cosine", "euclidean", "mahalanobis"});
  CLOZE_CHECK(distance != "mahalanobis" || classifier == "prototype", ErrorCode::kUsage,
              "--distance mahalanobis is for --classifier prototype; knn takes cosine or euclidean");
  CLOZE_CHECK(c >= 0 && std::isfinite(c), ErrorCode::kUsage, "--c must be above 0, or 0 to choose it; got {}", c);
  CLOZE_CHECK(folds == 0 || folds >= 2, ErrorCode::kUsage, "--folds must be at least 2, or 0; got {}", folds);
  CLOZE_CHECK(k >= 0, ErrorCode::kUsage, "--k must be at least 1, or 0 to choose it; got {}", k);
  CLOZE_CHECK(shrinkage == -1 || (shrinkage >= 0 && shrinkage <= 1), ErrorCode::kUsage,
              "--shrinkage must be 0 to 1, or -1 for Ledoit and Wolf's; got {}", shrinkage);
  CLOZE_CHECK(mlp_hidden >= 1 && mlp_hidden <= 65536 && mlp_epochs >= 1, ErrorCode::kUsage,
              "--mlp-hidden must be 1 to 65536 and --mlp-epochs at least 1; got {} and {}", mlp_hidden, mlp_epochs);
  CLOZE_CHECK(mlp_learning_rate > 0 && std::isfinite(mlp_learning_rate), ErrorCode::kUsage,
              "--mlp-learning-rate must be above 0, got {}", mlp_learning_rate);
}

Tensor Classifier::checked(const Tensor& x) const {
  CLOZE_CHECK(x.defined() && x.dtype() == DType::kF32 && x.shape().rank() == 2 && x.shape()[1] == dimension_,
              ErrorCode::kShape, "[classifier] it was fitted on vectors of {} numbers, got {}", dimension_,
              x.defined() ? x.shape().to_string() : "nothing");
  for (const float value : x.values<float>())
    CLOZE_CHECK(std::isfinite(value), ErrorCode::kValue, "[classifier] a vector holds {}: features must be finite",
                value);
  return x;
}

Tensor Classifier::scores(const Tensor& x) const {
  return finite(score_rows(checked(x)));
}

Tensor Classifier::probabilities(const Tensor& x) const {
  return finite(probability_rows(checked(x)));
}

std::unique_ptr<Classifier> fit_classifier(const LabelledVectors& data, const ClassifierOptions& options,
                                           uint64_t seed) {
  options.check();
  check_labelled(data);
  const std::string& kind = options.classifier;
  CLOZE_CHECK(data.weights.empty() || kind != "knn", ErrorCode::kUnsupported,
              "classes that count more than others (--class-weights) go with --classifier linear, svm, prototype and "
              "mlp; knn lets the nearest rows vote as they are");
  if (kind == "prototype") return fit_prototype(data, options);
  if (kind == "knn") return fit_knn(data, options, seed);
  if (kind == "mlp") return fit_mlp(data, options, seed);
  return fit_linear(data, options, seed);
}

}  // namespace cloze
