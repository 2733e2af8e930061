// Names of a checkpoint's tensors, taken apart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloze/io/weights.h"

namespace cloze {

/// A tensor of an encoder layer: which layer, and the rest of its name ("bert.encoder.layer.N.REST").
struct LayerName {
  int64_t layer;
  std::string rest;
};
std::optional<LayerName> layer_name(const std::string& name);
/// The whole name.
std::string layer_tensor(int64_t layer, const std::string& rest);

/// Canonical names in the files' order, without what is redundant.
std::vector<std::string> canonical_names(const Weights& weights);

}  // namespace cloze
