#include "cloze/transfer/classifier_linear.h"

#include <cmath>

#include "cloze/ops/ops.h"
#include "cloze/transfer/classifier_file.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

double sigmoid(double x) {
  const double e = std::exp(-std::abs(x));
  return (x >= 0 ? 1.0 : e) / (1.0 + e);
}

/// Sigmoids of the scores over their sum. All far below 0 would make it 0 / 0: then only ratios count, which are those
/// of exp(s).
Tensor sigmoid_rows(const Tensor& scores) {
  const Tensor result(scores.shape(), DType::kF32);
  const int64_t C = scores.shape()[1];
  for (int64_t row = 0; row < scores.shape()[0]; ++row) {
    const std::span<const float> s = row_of(scores, row);
    double sum = 0;
    for (const float score : s) sum += sigmoid(static_cast<double>(score));
    if (sum < 1e-300) {
      result.rows(row, row + 1).copy_from(softmax_rows(scores.rows(row, row + 1), 1.0));
      continue;
    }
    for (int64_t c = 0; c < C; ++c)
      result.data<float>()[row * C + c] =
          static_cast<float>(sigmoid(static_cast<double>(s[static_cast<size_t>(c)])) / sum);
  }
  return result;
}

}  // namespace

LinearClassifier::LinearClassifier(std::string kind, int classes, LinearRule rule)
    : Classifier(std::move(kind), rule.weight.shape()[1], classes), rule_(std::move(rule)) {}

Tensor LinearClassifier::score_rows(const Tensor& x) const {
  const NoGrad no_grad;
  const Tensor rows = rule_.rows == RowLength::kUnit ? unit_rows(x) : x;
  const Tensor margins = linear(Var(rows), Var(rule_.weight), Var(rule_.bias)).value();
  if (margins.shape()[1] == classes()) return margins;
  const Tensor scores({x.shape()[0], 2}, DType::kF32);
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    scores.data<float>()[2 * row] = -margins.data<float>()[row];
    scores.data<float>()[2 * row + 1] = margins.data<float>()[row];
  }
  return scores;
}

Tensor LinearClassifier::probability_rows(const Tensor& x) const {
  const Tensor scores = score_rows(x);
  return rule_.link == ScoreLink::kSigmoids ? sigmoid_rows(scores) : softmax_rows(scores, rule_.scale);
}

Json LinearClassifier::settings() const {
  Json settings = {{"link", rule_.link == ScoreLink::kSigmoids ? "sigmoids" : "softmax"},
                   {"rows", rule_.rows == RowLength::kUnit ? "unit" : "as-is"},
                   {"scale", rule_.scale}};
  settings["fitted_by"] = rule_.fitted_by;
  return settings;
}

std::vector<NamedTensor> LinearClassifier::tensors() const {
  return {{"weight", rule_.weight}, {"bias", rule_.bias}};
}

std::unique_ptr<Classifier> LinearClassifier::load(const std::string& kind, int64_t dimension, int classes,
                                                   const Json& settings, const SafetensorsFile& file,
                                                   const std::string& where) {
  const bool sigmoids = one_of(settings, "link", {"sigmoids", "softmax"}, where) == "sigmoids";
  const bool unit = one_of(settings, "rows", {"as-is", "unit"}, where) == "unit";
  const double scale = json_number(settings, "scale", where);
  CLOZE_CHECK(scale > 0 && std::isfinite(scale), ErrorCode::kValue,
              "{}: \"scale\" is {}, expected a finite number above 0", where, scale);
  // Two classes may have one margin (linear, svm) or two (prototype): the bias says, the weight must follow.
  const StoredTensor* bias = file.find("bias");
  const bool one = classes == 2 && bias != nullptr && bias->shape == std::vector<int64_t>{1};
  const int64_t margins = one ? 1 : classes;
  check_tensor_names(file, {"weight", "bias"});
  LinearRule rule{read_tensor(file, "weight", Shape({margins, dimension}), DType::kF32),
                  read_tensor(file, "bias", Shape({margins}), DType::kF32),
                  sigmoids ? ScoreLink::kSigmoids : ScoreLink::kSoftmax,
                  unit ? RowLength::kUnit : RowLength::kAsIs,
                  scale,
                  settings.value("fitted_by", Json::object())};
  return std::make_unique<LinearClassifier>(kind, classes, std::move(rule));
}

}  // namespace cloze
