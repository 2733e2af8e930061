// The model of text-classification with its tokenizer: what its training and its prediction share.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/task/batches.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/task.h"

namespace cloze {

/// Encoder, pooler and classifier, which may read numbers beside the text.
struct TextClassifier {
  BertConfig config;
  Tokenizer tokenizer;
  Bert bert;
  ClassifierHead head;
  RowLimits limits;
  RowNumbersPtr numbers;  ///< may be null
  std::optional<NumbersHead> numbers_head;

  TextClassifier(BertConfig c, Tokenizer t, const RowLimits& l, RowNumbersPtr n = nullptr);
  ParameterList parameters();
  /// Logits [B,C] of the text, without what numbers add.
  Var forward(const RaggedBatch& batch, ForwardContext& context) const;
  /// The same, and the hidden states after each layer, the embeddings first.
  Var forward(const RaggedBatch& batch, ForwardContext& context, std::vector<Var>& hidden) const;
  void freeze(Precision precision = Precision::kF32);
  void thaw();
};

/// Rows as the model reads them: their tokens, and their numbers where it reads any.
struct ClassifierRows {
  EncodedRows text;
  SparseRows numbers;
};
ClassifierRows encode_rows(const TextClassifier& model, std::span<const TextExample> rows, const std::string& file);

/// Class probabilities [rows,C]; the model must be frozen.
Tensor class_probabilities(const TextClassifier& model, const ClassifierRows& rows);

Evaluation evaluate_classifier(const TextClassifier& model, const ClassifierRows& rows, const std::vector<int>& truth);

}  // namespace cloze
