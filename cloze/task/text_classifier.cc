#include "cloze/task/text_classifier.h"

namespace cloze {
TextClassifier::TextClassifier(BertConfig c, Tokenizer t, const RowLimits& l, RowNumbersPtr n)
    : config(std::move(c)),
      tokenizer(std::move(t)),
      bert(config, Pooler::kWith),
      head(config, static_cast<int64_t>(config.labels.size())),
      limits(l),
      numbers(std::move(n)) {
  if (numbers) numbers_head.emplace(config, static_cast<int64_t>(config.labels.size()), numbers->width());
}

ParameterList TextClassifier::parameters() {
  ParameterList list;
  bert.collect(list);
  head.collect(list);
  if (numbers_head) numbers_head->collect(list);
  return list;
}

Var TextClassifier::forward(const RaggedBatch& batch, ForwardContext& context) const {
  return head.forward(bert.pooled_only(batch, context), context);  // [B,H] -> [B,C]
}

Var TextClassifier::forward(const RaggedBatch& batch, ForwardContext& context, std::vector<Var>& hidden) const {
  hidden.resize(static_cast<size_t>(config.num_hidden_layers + 1));
  bert.visit_layers(batch, context, config.num_hidden_layers,
                    [&](int64_t layer, const Var& x) { hidden[static_cast<size_t>(layer)] = x; });
  return head.forward(bert.pooled(hidden.back(), batch), context);
}

void TextClassifier::freeze(Precision precision) {
  bert.freeze(EncoderLayer::Rows::kPicked, precision);
  head.freeze();
}

void TextClassifier::thaw() {
  bert.thaw();
  head.thaw();
}

ClassifierRows encode_rows(const TextClassifier& model, std::span<const TextExample> rows, const std::string& file) {
  ClassifierRows encoded{encode_rows(model.tokenizer, rows, model.limits), {}};
  if (model.numbers) encoded.numbers = SparseRows(*model.numbers, rows, file);
  return encoded;
}

Tensor class_probabilities(const TextClassifier& model, const ClassifierRows& rows) {
  const auto logits = [&](const RaggedBatch& batch, ForwardContext& context) { return model.forward(batch, context); };
  return class_probabilities(logits, static_cast<int64_t>(model.config.labels.size()), rows.text,
                             model.numbers_head ? rows.numbers.times(model.numbers_head->weight()) : Tensor());
}

Evaluation evaluate_classifier(const TextClassifier& model, const ClassifierRows& rows, const std::vector<int>& truth) {
  return evaluate_classes(class_probabilities(model, rows), model.config.labels, rows.text, truth);
}

}  // namespace cloze
