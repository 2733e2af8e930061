// The model of text-classification with its tokenizer: what its training and its prediction share.
#pragma once

#include <span>
#include <vector>

#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/task/batches.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/task.h"

namespace cloze {

/// Encoder, pooler and classifier.
struct TextClassifier {
  BertConfig config;
  Tokenizer tokenizer;
  Bert bert;
  ClassifierHead head;
  RowLimits limits;

  TextClassifier(BertConfig c, Tokenizer t, const RowLimits& l);
  ParameterList parameters();
  /// Logits [B,C].
  Var forward(const RaggedBatch& batch, ForwardContext& context) const;
  void freeze(Precision precision = Precision::kF32);
  void thaw();
};

/// Class probabilities [rows,C]; the model must be frozen.
Tensor class_probabilities(const TextClassifier& model, const EncodedRows& rows);

Evaluation evaluate_classifier(const TextClassifier& model, const EncodedRows& rows, const std::vector<int>& truth);

}  // namespace cloze
