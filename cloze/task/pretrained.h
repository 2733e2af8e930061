// A pretrained model with its tokenizer: what fill-mask and next-sentence-prediction load.
#pragma once

#include "cloze/model/pretraining_model.h"
#include "cloze/task/task.h"

namespace cloze {

struct Pretrained {
  BertConfig config;
  Tokenizer tokenizer;
  RowLimits limits;
  PretrainingModel model;  ///< frozen
  LoadReport report;
};

/// Loads the heads that `task` needs. Errors: kNotFound with the head's missing tensors and `where_from`, the
/// checkpoints that have them; kUnsupported for a decoder of masked words that is not tied to the word embeddings;
/// those of load_config, Weights, load_parameters and resolve_limits.
std::unique_ptr<Pretrained> load_pretrained(const ModelFiles& files, const LoadOptions& options, PretrainingHeads heads,
                                            const char* task, const char* where_from);

}  // namespace cloze
