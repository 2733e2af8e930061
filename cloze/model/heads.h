// The heads that BERT checkpoints carry, with Hugging Face's tensor names.
// Dimensions: T tokens, B sequences, R rows picked, H hidden, V vocabulary, C classes.
#pragma once

#include "cloze/model/bert.h"

namespace cloze {

/// `classifier`: dropout, then a linear layer, over pooled vectors [B,H] (text) or hidden states [T,H] (tokens).
class ClassifierHead {
 public:
  ClassifierHead(const BertConfig& config, int64_t classes);
  Var forward(const Var& x, ForwardContext& context) const;  ///< [*,H] -> [*,C]
  void collect(ParameterList& list) { linear_.collect(list); }
  void freeze() { linear_.freeze(); }
  void thaw() { linear_.thaw(); }

 private:
  double dropout_;
  Linear linear_;
};

/// `cloze.numbers`: what numbers beside the text add to the classifier's scores. It starts at 0, adding nothing.
/// Hugging Face's classes pass the tensor over.
class NumbersHead {
 public:
  NumbersHead(const BertConfig& config, int64_t classes, int64_t width);
  Var forward(const Var& numbers, ForwardContext& context) const;  ///< [B,F] -> [B,C], after dropout
  void collect(ParameterList& list) { list.push_back(&weight_); }
  const Tensor& weight() const { return weight_.var.value(); }  ///< [C,F]

 private:
  double dropout_;
  Parameter weight_;
};

/// `qa_outputs`: start and end scores of each token.
class QuestionAnsweringHead {
 public:
  explicit QuestionAnsweringHead(const BertConfig& config);
  Var forward(const Var& hidden) const { return linear_.forward(hidden); }  ///< [T,H] -> [T,2]
  void collect(ParameterList& list) { linear_.collect(list); }

 private:
  Linear linear_;
};

/// `cls.seq_relationship`: is the second text the first one's continuation (class 0) or not (class 1).
class NextSentenceHead {
 public:
  explicit NextSentenceHead(const BertConfig& config);
  Var forward(const Var& pooled) const { return linear_.forward(pooled); }  ///< [B,H] -> [B,2]
  void collect(ParameterList& list) { linear_.collect(list); }
  void freeze() { linear_.freeze(); }
  void thaw() { linear_.thaw(); }

 private:
  Linear linear_;
};

/// `cls.predictions`: transform, then scores over the vocabulary by the word embeddings themselves.
class MaskedWordsHead {
 public:
  explicit MaskedWordsHead(const BertConfig& config);
  /// Hidden states at the rows of interest [R,H] -> what is multiplied with the word embeddings [R,H].
  Var transform(const Var& rows) const;
  const Var& bias() const { return bias_.var; }  ///< [V]
  /// hidden states at the rows of interest [R,H], Bert::word_embeddings() [V,H] -> [R,V]
  Var forward(const Var& rows, const Var& word_embeddings) const;
  void collect(ParameterList& list);
  /// For inference: forward() then wants these same word embeddings [V,H], unchanged, until thaw(). Takes their memory
  /// once more.
  void freeze(const Tensor& word_embeddings);
  void thaw();

 private:
  Activation activation_;
  Linear transform_;
  LayerNorm norm_;
  Parameter bias_;
  std::shared_ptr<PreparedWeight> decoder_;
};

}  // namespace cloze
