#include "cloze/task/class_answers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cloze/base/json.h"
#include "cloze/base/profile.h"
#include "cloze/metrics/classification.h"
#include "cloze/metrics/report.h"
#include "cloze/ops/ops.h"

namespace cloze {
namespace {

constexpr const char* kMetrics[] = {"loss",         "accuracy", "f1_macro", "f1_weighted", "precision_macro",
                                    "recall_macro", "mcc"};

}  // namespace

Tensor class_probabilities(const BatchLogits& forward, int64_t classes, const EncodedRows& rows,
                           const Tensor& row_logits) {
  const NoGrad no_grad;
  const Tensor logits({static_cast<int64_t>(rows.sequences.size()), classes}, DType::kF32);  // of each window
  for (const auto& [begin, end] : token_batches(rows.sequences)) {
    ForwardContext context;
    const Tensor part = forward(join_sequences(rows.sequences, begin, end), context).value();
    std::memcpy(logits.data<float>() + static_cast<int64_t>(begin) * classes, part.data<float>(),
                sizeof(float) * static_cast<size_t>(part.elements()));
  }
  const Tensor means = mean_over_windows(logits, rows);
  if (row_logits.defined())
    for (int64_t i = 0; i < means.elements(); ++i) means.data<float>()[i] += row_logits.data<float>()[i];
  return softmax(means);
}

std::span<const char* const> classification_metrics() {
  return kMetrics;
}

Evaluation evaluate_classes(const Tensor& p, const std::vector<std::string>& labels, const EncodedRows& rows,
                            const std::vector<int>& truth) {
  const int64_t C = p.shape()[1];
  ConfusionMatrix matrix(static_cast<int>(C));
  double loss = 0;
  for (size_t i = 0; i < rows.rows(); ++i) {
    const float* row = p.data<float>() + static_cast<int64_t>(i) * C;
    matrix.add(static_cast<int>(std::max_element(row, row + C) - row), truth[i]);
    loss -= std::log(std::max(static_cast<double>(row[truth[i]]), 1e-30));
  }
  Evaluation result;
  result.lengths = rows.counts();
  const Scores macro = macro_average(matrix), weighted = weighted_average(matrix);
  const double values[] = {rows.rows() == 0 ? std::nan("") : loss / static_cast<double>(rows.rows()),
                           accuracy(matrix),
                           macro.f1,
                           weighted.f1,
                           macro.precision,
                           macro.recall,
                           matthews_correlation(matrix)};
  static_assert(std::size(values) == std::size(kMetrics));
  for (size_t i = 0; i < std::size(kMetrics); ++i) result.metrics.emplace_back(kMetrics[i], values[i]);
  result.text = class_table(matrix, labels) + "\n" + confusion_text(matrix, labels);
  return result;
}

Answers class_answers(const Tensor& p, const std::vector<std::string>& labels, const EncodedRows& rows) {
  const ProfilePhase phase("output");
  Answers answers{.lines = {}, .lengths = rows.counts()};
  for (size_t i = 0; i < rows.rows(); ++i) {
    const float* scores = p.data<float>() + i * labels.size();
    const size_t best = static_cast<size_t>(std::max_element(scores, scores + labels.size()) - scores);
    JsonLine line;
    line.begin_object().member("label", labels[best]).member("score", scores[best]).key("scores").begin_object();
    for (size_t c = 0; c < labels.size(); ++c) line.member(labels[c], scores[c]);
    line.end_object().member("tokens", rows.tokens(i)).member("windows", static_cast<int64_t>(rows.windows(i)));
    line.member("truncated", rows.dropped[i]).end_object();
    answers.lines.push_back(line.text());
  }
  return answers;
}

void refuse_top_k(const LoadOptions& options, const char* task) {
  CLOZE_CHECK(!options.top_k.has_value(), ErrorCode::kUsage,
              "--top-k is for fill-mask; {} answers with the scores of all labels", task);
}

}  // namespace cloze
