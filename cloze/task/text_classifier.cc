#include "cloze/task/text_classifier.h"

namespace cloze {
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
  const auto logits = [&](const RaggedBatch& batch, ForwardContext& context) { return model.forward(batch, context); };
  return class_probabilities(logits, static_cast<int64_t>(model.config.labels.size()), rows);
}

Evaluation evaluate_classifier(const TextClassifier& model, const EncodedRows& rows, const std::vector<int>& truth) {
  return evaluate_classes(class_probabilities(model, rows), model.config.labels, rows, truth);
}

}  // namespace cloze
