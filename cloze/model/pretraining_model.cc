#include "cloze/model/pretraining_model.h"

#include "cloze/ops/ops.h"

namespace cloze {

PretrainingModel::PretrainingModel(const BertConfig& config, PretrainingHeads heads)
    : bert_(config, heads.next_sentence ? Pooler::kWith : Pooler::kWithout) {
  bert_.need_float_embeddings();  // the decoder is tied to them
  if (heads.masked_words) words_.emplace(config);
  if (heads.next_sentence) sentences_.emplace(config);
}

Var PretrainingModel::masked_hidden(const Var& hidden, const Tensor& rows) const {
  CLOZE_CHECK(words_.has_value(), ErrorCode::kInternal, "this model was built without the head for masked words");
  return words_->transform(gather_rows(hidden, rows));
}

const Var& PretrainingModel::decoder_bias() const {
  CLOZE_CHECK(words_.has_value(), ErrorCode::kInternal, "this model was built without the head for masked words");
  return words_->bias();
}

Var PretrainingModel::masked_logits(const Var& hidden, const Tensor& rows) const {
  CLOZE_CHECK(words_.has_value(), ErrorCode::kInternal, "this model was built without the head for masked words");
  return words_->forward(gather_rows(hidden, rows), decoder_weight());
}

Var PretrainingModel::next_sentence_logits(const Var& hidden, const Tensor& first) const {
  CLOZE_CHECK(sentences_.has_value(), ErrorCode::kInternal, "this model was built without the next-sentence head");
  return sentences_->forward(bert_.pool(gather_rows(hidden, first)));
}

Var PretrainingModel::next_sentence_logits(const RaggedBatch& batch, ForwardContext& context) const {
  CLOZE_CHECK(sentences_.has_value(), ErrorCode::kInternal, "this model was built without the next-sentence head");
  return sentences_->forward(bert_.pooled_only(batch, context));
}

ParameterList PretrainingModel::parameters() {
  ParameterList list;
  collect(list);
  return list;
}

void PretrainingModel::freeze_with_heads(Precision precision) {
  bert_.freeze(EncoderLayer::Rows::kPicked, precision);
  if (words_) words_->freeze(decoder_weight().value());
  if (sentences_) sentences_->freeze();
}

void PretrainingModel::thaw() {
  bert_.thaw();
  if (words_) words_->thaw();
  if (sentences_) sentences_->thaw();
}

void PretrainingModel::collect(ParameterList& list) {
  bert_.collect(list);
  if (words_) words_->collect(list);
  if (sentences_) sentences_->collect(list);
}

}  // namespace cloze
