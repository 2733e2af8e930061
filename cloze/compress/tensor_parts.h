// A checkpoint's tensors, and their names, taken apart.
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

/// The tensor as it is stored: half-width floats stay so; 8 bits become floats, and what has no zeros gets them.
/// Errors: kNotFound; those of Weights.
Tensor stored_tensor(Weights& weights, const std::string& name);

/// Columns `group` * width to (`group` + 1) * width of x [M,K] for each of `groups`, side by side; x may be a vector,
/// whose elements are meant. They must lie within x.
Tensor pick_columns(const Tensor& x, const std::vector<int64_t>& groups, int64_t width);
/// The same of rows, one below the other.
Tensor pick_rows(const Tensor& x, const std::vector<int64_t>& groups, int64_t width);

}  // namespace cloze
