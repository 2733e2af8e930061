// next-sentence-prediction: does the second text of a pair follow the first?
#pragma once

#include "cloze/task/task.h"

namespace cloze {

/// Labels "is_next" and "not_next", in the order of Hugging Face's classes. In labelled rows 1 says the first and 0 the
/// second, too. Errors: kNotFound where the directory has no such head, and others of load_pretrained(); kUsage for
/// --top-k.
std::unique_ptr<Predictor> load_next_sentence_prediction(const ModelFiles& files, const LoadOptions& options);

}  // namespace cloze
