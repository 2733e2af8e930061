// Rows of which each gets one class of a few: probabilities, metrics and answers, whatever the head.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cloze/nn/context.h"
#include "cloze/task/batches.h"
#include "cloze/task/task.h"

namespace cloze {

/// Logits [B,C] of a batch.
using BatchLogits = std::function<Var(const RaggedBatch& batch, ForwardContext& context)>;

/// Class probabilities [rows,C]; the model must be frozen. Without recording, batch by batch. The logits of a row's
/// windows are averaged. `row_logits` [rows,C] are added to them; may be undefined.
Tensor class_probabilities(const BatchLogits& logits, int64_t classes, const EncodedRows& rows,
                           const Tensor& row_logits = Tensor());

/// "loss" first; see docs/cli.md.
std::span<const char* const> classification_metrics();
/// Of probabilities [rows,C] against true classes.
Evaluation evaluate_classes(const Tensor& probabilities, const std::vector<std::string>& labels,
                            const EncodedRows& rows, const std::vector<int>& truth);

/// The answers of `predict`: each row's best label, and all labels with their probabilities.
Answers class_answers(const Tensor& probabilities, const std::vector<std::string>& labels, const EncodedRows& rows);

/// Errors: kUsage if answers are to be ranked, which classes are anyway, all of them.
void refuse_top_k(const LoadOptions& options, const char* task);

}  // namespace cloze
