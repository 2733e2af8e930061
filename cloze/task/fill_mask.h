// fill-mask: which words stand behind the masks of a text?
#pragma once

#include "cloze/task/task.h"

namespace cloze {

/// Errors: kNotFound where the directory has no head for masked words or the vocabulary no mask token; kFormat where
/// the tokenizer does not find that token in text; kUsage for a --top-k that cannot be; others of load_pretrained().
std::unique_ptr<Predictor> load_fill_mask(const ModelFiles& files, const LoadOptions& options);

}  // namespace cloze
