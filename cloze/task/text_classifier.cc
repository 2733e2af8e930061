#include "cloze/task/text_classifier.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cloze/metrics/report.h"
#include "cloze/ops/ops.h"

namespace cloze {
namespace {

constexpr const char* kMetrics[] = {"loss",         "accuracy", "f1_macro", "f1_weighted", "precision_macro",
                                    "recall_macro", "mcc"};

}  // namespace

TextClassifier::TextClassifier(BertConfig c, Tokenizer t, const RowLimits& l)
    : config(std::move(c)),
      tokenizer(std::move(t)),
      bert(config, Pooler::kWith),
      head(config, static_cast<int64_t>(config.labels.size())),
      limits(l) {}

ParameterList TextClassifier::parameters() {
  ParameterList list;
  bert.collect(list);
  head.collect(list);
  return list;
}

Var TextClassifier::forward(const RaggedBatch& batch, ForwardContext& context) const {
  return head.forward(bert.pooled_only(batch, context), context);  // [B,H] -> [B,C]
}

void TextClassifier::freeze(Precision precision) {
  bert.freeze(EncoderLayer::Rows::kPicked, precision);
  head.freeze();
}

void TextClassifier::thaw() {
  bert.thaw();
  head.thaw();
}

Tensor class_probabilities(const TextClassifier& model, const EncodedRows& rows) {
  const NoGrad no_grad;
  const int64_t C = static_cast<int64_t>(model.config.labels.size());
  const Tensor logits({static_cast<int64_t>(rows.sequences.size()), C}, DType::kF32);  // of each window
  for (const auto& [begin, end] : token_batches(rows.sequences)) {
    ForwardContext context;
    const Tensor part = model.forward(join_sequences(rows.sequences, begin, end), context).value();
    std::memcpy(logits.data<float>() + static_cast<int64_t>(begin) * C, part.data<float>(),
                sizeof(float) * static_cast<size_t>(part.elements()));
  }
  return softmax(mean_over_windows(logits, rows));
}

std::span<const char* const> classification_metrics() {
  return kMetrics;
}

Evaluation evaluate_classifier(const TextClassifier& model, const EncodedRows& rows, const std::vector<int>& truth) {
  const Tensor p = class_probabilities(model, rows);
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
  result.text = class_table(matrix, model.config.labels) + "\n" + confusion_text(matrix, model.config.labels);
  return result;
}

}  // namespace cloze
