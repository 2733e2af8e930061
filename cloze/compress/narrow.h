// The hidden width: of the numbers of every token's vector some are taken out of the whole model, from the embeddings
// to the head. Heads keep their own width. A layer norm then has the mean and the deviation of what is left, so that
// the model wants to be trained again.
#pragma once

#include <span>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/model/bert_config.h"

namespace cloze {

/// Errors: kValue for a width beyond the model's, or below 1.
BertConfig narrow_config(const BertConfig& config, int64_t width);

/// The `share` most important numbers of the hidden width, in rising order: a multiple of `multiple` of them, at least
/// one such. Errors: kUsage where a share below 1 would keep all of them.
std::vector<int64_t> keep_hidden(const std::vector<double>& importance, double share, int64_t multiple);

/// Writes the model with these of its hidden numbers (in rising order) into `to`, a folder to be filled, with all else
/// that stands in its folder. Errors: kUnsupported for classifiers on a frozen encoder, and for a tensor of which it is
/// not known what of it is hidden width; kShape for one that does not fit config.json; those of Weights.
void write_narrow(const Path& from, const Path& to, const std::vector<int64_t>& kept);

}  // namespace cloze
