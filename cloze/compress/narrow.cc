#include "cloze/compress/narrow.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/compress/keep_compact.h"
#include "cloze/compress/structure.h"
#include "cloze/compress/tensor_parts.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"

namespace cloze {
namespace {

/// Where a tensor has the hidden width: in its rows (or elements), in its columns.
struct Axes {
  bool rows, columns;
};

std::optional<Axes> axes_of(const std::string& name) {
  const auto is_one_of = [](const std::string& text, std::initializer_list<const char*> names) {
    return std::ranges::any_of(names, [&](const char* one) { return text == one; });
  };
  if (name.ends_with("LayerNorm.weight") || name.ends_with("LayerNorm.bias")) return Axes{true, false};
  if (name.starts_with("bert.embeddings.") && name.ends_with("_embeddings.weight")) return Axes{false, true};
  if (const std::optional<LayerName> layer = layer_name(name); layer) {
    const std::string& rest = layer->rest;
    if (is_one_of(rest, {"attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight",
                         "intermediate.dense.weight"}))
      return Axes{false, true};
    if (is_one_of(rest, {"attention.self.query.bias", "attention.self.key.bias", "attention.self.value.bias",
                         "intermediate.dense.bias"}))
      return Axes{false, false};
    if (is_one_of(rest, {"attention.output.dense.weight", "attention.output.dense.bias", "output.dense.weight",
                         "output.dense.bias"}))
      return Axes{true, false};
    return std::nullopt;
  }
  if (is_one_of(name, {"bert.pooler.dense.weight", "cls.predictions.transform.dense.weight"})) return Axes{true, true};
  if (is_one_of(name, {"bert.pooler.dense.bias", "cls.predictions.transform.dense.bias"})) return Axes{true, false};
  if (is_one_of(name, {"classifier.weight", "qa_outputs.weight", "cls.seq_relationship.weight"}))
    return Axes{false, true};
  if (is_one_of(name, {"classifier.bias", "qa_outputs.bias", "cls.seq_relationship.bias", "cls.predictions.bias"}))
    return Axes{false, false};
  return std::nullopt;
}

Tensor narrowed(const Tensor& x, const Axes& axes, const std::string& name, int64_t hidden,
                const std::vector<int64_t>& kept) {
  const auto check = [&](int64_t size) {
    CLOZE_CHECK(size == hidden, ErrorCode::kShape, "{} is {}, but config.json has a hidden width of {}", name,
                x.shape(), hidden);
  };
  Tensor y = x;
  CLOZE_CHECK(x.shape().rank() == 2 || (x.shape().rank() == 1 && !axes.columns), ErrorCode::kShape,
              "{} is {}, which is not as it should be", name, x.shape());
  if (axes.rows) {
    check(x.shape()[0]);
    y = x.shape().rank() == 1 ? pick_columns(y, kept, 1) : pick_rows(y, kept, 1);
  }
  if (!axes.columns) return y;
  std::vector<int64_t> columns = kept;
  if (name == "classifier.weight" && x.shape()[1] > hidden) {  // joined features stand behind the vector
    columns.resize(kept.size() + static_cast<size_t>(x.shape()[1] - hidden));
    std::iota(columns.begin() + std::ssize(kept), columns.end(), hidden);
  } else {
    check(x.shape()[1]);
  }
  return pick_columns(y, columns, 1);
}

}  // namespace

BertConfig narrow_config(const BertConfig& config, int64_t width) {
  CLOZE_CHECK(width >= 1 && width <= config.hidden_size, ErrorCode::kValue, "{} of a hidden width of {} cannot be kept",
              width, config.hidden_size);
  BertConfig narrow = config;
  narrow.head_size = config.head_width();
  narrow.layers.clear();
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) narrow.layers.push_back(config.layer(i));
  narrow.hidden_size = width;
  return pruned_config(narrow, whole_structure(narrow));
}

std::vector<int64_t> keep_hidden(const std::vector<double>& importance, double share, int64_t multiple) {
  const int64_t all = std::ssize(importance);
  const int64_t wanted = std::llround(share * static_cast<double>(all) / static_cast<double>(multiple)) * multiple;
  const int64_t count = std::min(all, std::max(wanted, multiple));
  CLOZE_CHECK(count < all || share >= 1, ErrorCode::kUsage,
              "a share of {} of the hidden width keeps all {} numbers, for the width stays a multiple of {}; give a "
              "smaller share or --multiple",
              share, all, multiple);
  std::vector<int64_t> order(importance.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return importance[static_cast<size_t>(a)] > importance[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(count));
  std::ranges::sort(order);
  return order;
}

void write_narrow(const Path& from, const Path& to, const std::vector<int64_t>& kept) {
  const BertConfig config = load_config(ModelFiles::open(from));
  refuse_frozen_classifier(config, from);
  Weights weights(from);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : canonical_names(weights)) {
    if (const auto of = layer_name(name); of && of->layer >= config.num_hidden_layers)
      continue;  // no part of the model
    const std::optional<Axes> axes = axes_of(name);
    CLOZE_CHECK(axes.has_value(), ErrorCode::kUnsupported,
                "{}: it is not known what of tensor {} is the hidden width, which can therefore not be pruned",
                from.string(), name);
    tensors.push_back({name, narrowed(stored_tensor(weights, name), *axes, name, config.hidden_size, kept)});
  }
  copy_model_rest(weights, from, to);
  const ModelFiles files = ModelFiles::create(to);
  Json json = narrow_config(config, std::ssize(kept)).to_json();
  std::vector<int64_t> layers(static_cast<size_t>(config.num_hidden_layers));
  std::iota(layers.begin(), layers.end(), 0);
  keep_compact(tensors, weights, layers).write(json);
  files.write_json(ModelFiles::kConfig, json);
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

}  // namespace cloze
