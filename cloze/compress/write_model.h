// Model directories of what compression makes.
#pragma once

#include <span>

#include "cloze/base/file.h"
#include "cloze/compress/structure.h"

namespace cloze {

/// Writes the model with what `keep` says, and with these pieces of its vocabulary alone (empty: all), into `to`, a
/// folder to be filled. What else stands in the directory is copied; what is stored compact stays so (keep_compact.h).
/// Errors: those of prune_tensors, prune_vocabulary and keep_compact; kUnsupported for a frozen classifier, which knows
/// the vectors of its whole encoder.
void write_pruned(const Path& from, const Path& to, const Structure& keep, std::span<const int32_t> pieces);

/// Writes the model with `count` of its layers, evenly spread, the last one among them (as DistilBERT starts from every
/// second layer of its teacher: Sanh et al., 2019). Errors: kValue for fewer than 1 or more than there are.
void write_layers(const Path& from, const Path& to, int64_t count);

/// Copies what stands in the model's folder but its weights and config.json.
void copy_model_rest(const Weights& weights, const Path& from, const Path& to);
/// Errors: kUnsupported for a classifier on a frozen encoder, which knows the vectors of its whole encoder.
void refuse_frozen_classifier(const BertConfig& config, const Path& folder);

/// Writes the model with zeros where something was taken out of its layers: an ordinary one. Errors: those of
/// dense_tensors.
void write_dense(const Path& from, const Path& to);

}  // namespace cloze
