// What is taken out of a model: attention heads, feed-forward neurons, whole layers. The result is a smaller model, not
// one with zeros: its tensors are cut, and config.json says what is left of each layer ("cloze": {"layers": …}).
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/io/model_dir.h"
#include "cloze/io/safetensors.h"
#include "cloze/io/weights.h"
#include "cloze/model/bert_config.h"

namespace cloze {

/// What is kept of a layer; numbers in rising order, as the layer has them now.
struct LayerKeep {
  int64_t layer;
  std::vector<int64_t> heads, neurons;
  bool operator==(const LayerKeep&) const = default;
};
/// The layers that are kept, in rising order; at least one.
using Structure = std::vector<LayerKeep>;

/// Everything.
Structure whole_structure(const BertConfig& config);
/// The configuration of what is kept. Where all layers are left alike and with all of their heads, it is an ordinary
/// one, which Hugging Face's classes read too. Errors: kValue for a structure that is empty or not of this model.
BertConfig pruned_config(const BertConfig& config, const Structure& keep);
/// All tensors of the files, cut, under their canonical names and with the stored type of each. Errors: those of
/// Weights; kShape for a tensor that does not fit `config`.
std::vector<NamedTensor> prune_tensors(Weights& weights, const BertConfig& config, const Structure& keep);

/// The tensors of a pruned model with zeros where heads and neurons were taken out: those of an ordinary model of
/// `dense_shape`(config), which computes the same. What stands in the place of a layer's missing heads gives 0.
BertConfig dense_config(const BertConfig& pruned);
/// Errors: kUnsupported where the width of all heads would not be hidden_size (another head_size).
std::vector<NamedTensor> dense_tensors(Weights& weights, const BertConfig& pruned);

}  // namespace cloze
