#include "cloze/model/heads.h"

namespace cloze {

namespace {

/// Hugging Face's "classifier_dropout" overrides the encoder's where it is given.
double classifier_dropout(const BertConfig& config) {
  const double rate = json_number_or(config.source, "classifier_dropout", config.hidden_dropout_prob, "config.json");
  CLOZE_CHECK(rate >= 0 && rate < 1, ErrorCode::kValue,
              "config.json: \"classifier_dropout\" must be in [0, 1), found {}", rate);
  return rate;
}

}  // namespace

ClassifierHead::ClassifierHead(const BertConfig& config, int64_t classes)
    : dropout_(classifier_dropout(config)), linear_("classifier", config.hidden_size, classes) {}

Var ClassifierHead::forward(const Var& x, ForwardContext& context) const {
  return linear_.forward(dropout(x, context.next_dropout(dropout_)));
}

NumbersHead::NumbersHead(const BertConfig& config, int64_t classes, int64_t width)
    : dropout_(classifier_dropout(config)),
      weight_{"cloze.numbers.weight", {classes, width}, Init::kZeros, Decay::kYes, {}} {}

Var NumbersHead::forward(const Var& numbers, ForwardContext& context) const {
  return linear(dropout(numbers, context.next_dropout(dropout_)), weight_.var, Var());
}

QuestionAnsweringHead::QuestionAnsweringHead(const BertConfig& config) : linear_("qa_outputs", config.hidden_size, 2) {}

NextSentenceHead::NextSentenceHead(const BertConfig& config) : linear_("cls.seq_relationship", config.hidden_size, 2) {}

MaskedWordsHead::MaskedWordsHead(const BertConfig& config)
    : activation_(config.hidden_act),
      transform_("cls.predictions.transform.dense", config.hidden_size, config.hidden_size),
      norm_("cls.predictions.transform.LayerNorm", config.hidden_size, config.layer_norm_eps),
      bias_{"cls.predictions.bias", {config.vocab_size}, Init::kZeros, Decay::kNo, {}} {}

Var MaskedWordsHead::transform(const Var& rows) const {
  return norm_.forward(transform_.forward(rows, activation_));
}

Var MaskedWordsHead::forward(const Var& rows, const Var& word_embeddings) const {
  return linear(transform(rows), word_embeddings, bias_.var, Activation::kNone, decoder_.get());
}

void MaskedWordsHead::collect(ParameterList& list) {
  transform_.collect(list);
  norm_.collect(list);
  list.push_back(&bias_);
}

void MaskedWordsHead::freeze(const Tensor& word_embeddings) {
  transform_.freeze();
  decoder_ = prepare_weight(word_embeddings);
}

void MaskedWordsHead::thaw() {
  transform_.thaw();
  decoder_.reset();
}

}  // namespace cloze
