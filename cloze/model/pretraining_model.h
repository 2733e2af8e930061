// BERT with the heads that it is pretrained with: masked words, next sentence, or both.
// Dimensions: R rows picked, B sequences, H hidden, V vocabulary.
#pragma once

#include <optional>

#include "cloze/model/bert.h"
#include "cloze/model/heads.h"

namespace cloze {

struct PretrainingHeads {
  bool masked_words = true, next_sentence = true;
};

/// The pooler is there only with the next-sentence head.
class PretrainingModel {
 public:
  PretrainingModel(const BertConfig& config, PretrainingHeads heads);

  Bert& bert() { return bert_; }
  const Bert& bert() const { return bert_; }
  bool has_masked_words() const { return words_.has_value(); }
  bool has_next_sentence() const { return sentences_.has_value(); }

  /// Hidden states [*,H] at rows[R] I32 -> [R,H], to be multiplied with decoder_weight(). Errors: kInternal without the
  /// head, here and below.
  Var masked_hidden(const Var& hidden, const Tensor& rows) const;
  const Var& decoder_weight() const { return bert_.word_embeddings(); }  ///< [V,H]
  const Var& decoder_bias() const;                                       ///< [V]
  /// Scores over the vocabulary: [R,V].
  Var masked_logits(const Var& hidden, const Tensor& rows) const;
  /// Hidden states [*,H] at each sequence's first token, first[B] I32 -> [B,2].
  Var next_sentence_logits(const Var& hidden, const Tensor& first) const;
  /// The same of a batch, without the last layer's work for tokens that nobody reads.
  Var next_sentence_logits(const RaggedBatch& batch, ForwardContext& context) const;

  void collect(ParameterList& list);
  ParameterList parameters();
  /// Before evaluation within training: the encoder alone.
  void freeze(Precision precision = Precision::kF32) { bert_.freeze(EncoderLayer::Rows::kAll, precision); }
  /// Before inference through Bert::forward_at() and pooled_only(): the heads too, which doubles the memory of the word
  /// embeddings where masked words are asked for.
  void freeze_with_heads(Precision precision = Precision::kF32);
  void thaw();

 private:
  Bert bert_;
  std::optional<MaskedWordsHead> words_;
  std::optional<NextSentenceHead> sentences_;
};

}  // namespace cloze
