#include "cloze/model/pretraining_model.h"

#include "cloze/ops/ops.h"

namespace cloze {

PretrainingModel::PretrainingModel(const BertConfig& config, PretrainingHeads heads)
    : bert_(config, heads.next_sentence ? Pooler::kWith : Pooler::kWithout) {
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
  return linear(masked_hidden(hidden, rows), decoder_weight(), decoder_bias());
}

Var PretrainingModel::next_sentence_logits(const Var& hidden, const Tensor& first) const {
  CLOZE_CHECK(sentences_.has_value(), ErrorCode::kInternal, "this model was built without the next-sentence head");
  return sentences_->forward(bert_.pool(gather_rows(hidden, first)));
}

void PretrainingModel::collect(ParameterList& list) {
  bert_.collect(list);
  if (words_) words_->collect(list);
  if (sentences_) sentences_->collect(list);
}

}  // namespace cloze
