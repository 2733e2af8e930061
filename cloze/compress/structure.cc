#include "cloze/compress/structure.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>

#include "cloze/base/error.h"
#include "cloze/compress/tensor_parts.h"

namespace cloze {
namespace {

std::vector<int64_t> numbers_to(int64_t end) {
  std::vector<int64_t> numbers(static_cast<size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// Which groups a tensor of a layer is made of: rows or columns, of heads or of neurons.
struct Cut {
  bool heads, columns;
};
std::optional<Cut> cut_of(const std::string& rest) {
  for (const char* part : {"query", "key", "value"})
    if (rest.starts_with(fmt::format("attention.self.{}.", part))) return Cut{true, false};
  if (rest == "attention.output.dense.weight") return Cut{true, true};
  if (rest.starts_with("intermediate.dense.")) return Cut{false, false};
  if (rest == "output.dense.weight") return Cut{false, true};
  return std::nullopt;
}

/// Files are not to be trusted: what follows copies bytes by these shapes.
void check_shape(const Tensor& x, const Cut& cut, const LayerShape& shape, const BertConfig& config,
                 const std::string& name) {
  const int64_t wide = cut.heads ? shape.heads * config.head_width() : shape.feed_forward, H = config.hidden_size;
  const Shape expected = !name.ends_with(".weight") ? Shape({wide}) : cut.columns ? Shape({H, wide}) : Shape({wide, H});
  CLOZE_CHECK(x.shape() == expected, ErrorCode::kShape,
              "{} is {}, but {} {} and a hidden width of {} (config.json) make it {}", name, x.shape(),
              cut.heads ? shape.heads : shape.feed_forward, cut.heads ? "heads" : "neurons", H, expected);
}

}  // namespace

Structure whole_structure(const BertConfig& config) {
  Structure keep;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    keep.push_back({i, numbers_to(config.layer(i).heads), numbers_to(config.layer(i).feed_forward)});
  return keep;
}

BertConfig pruned_config(const BertConfig& config, const Structure& keep) {
  CLOZE_CHECK(!keep.empty(), ErrorCode::kValue, "a model must keep a layer");
  BertConfig pruned = config;
  pruned.layers.clear();
  pruned.num_hidden_layers = static_cast<int64_t>(keep.size());
  int64_t before = -1;
  for (const LayerKeep& layer : keep) {
    CLOZE_CHECK(layer.layer > before && layer.layer < config.num_hidden_layers, ErrorCode::kValue,
                "layer {} of {} is to be kept, after {}", layer.layer, config.num_hidden_layers, before);
    before = layer.layer;
    const LayerShape shape = config.layer(layer.layer);
    const auto check = [&](const std::vector<int64_t>& numbers, int64_t end, const char* what) {
      CLOZE_CHECK(std::ranges::adjacent_find(numbers, std::ranges::greater_equal()) == numbers.end() &&
                      (numbers.empty() || (numbers.front() >= 0 && numbers.back() < end)),
                  ErrorCode::kValue, "layer {}: the {} to keep must be numbers below {}, in rising order", layer.layer,
                  what, end);
    };
    check(layer.heads, shape.heads, "heads");
    check(layer.neurons, shape.feed_forward, "neurons");
    pruned.layers.push_back({static_cast<int64_t>(layer.heads.size()), static_cast<int64_t>(layer.neurons.size())});
  }
  pruned.head_size = config.head_width();
  const LayerShape first = pruned.layers[0];
  const bool alike = std::ranges::count(pruned.layers, first) == std::ssize(pruned.layers);
  if (alike && first.feed_forward > 0 && first.heads > 0 && first.heads * pruned.head_size == pruned.hidden_size) {
    pruned.num_attention_heads = first.heads;
    pruned.intermediate_size = first.feed_forward;
    pruned.layers.clear();
    pruned.head_size = 0;
  }
  return pruned;
}

std::vector<NamedTensor> prune_tensors(Weights& weights, const BertConfig& config, const Structure& keep) {
  std::map<int64_t, int64_t> place;  // old layer -> new layer
  for (size_t i = 0; i < keep.size(); ++i) place[keep[i].layer] = static_cast<int64_t>(i);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : canonical_names(weights)) {
    const std::optional<LayerName> layer = layer_name(name);
    if (!layer) {
      tensors.push_back({name, stored_tensor(weights, name)});
      continue;
    }
    const auto at = place.find(layer->layer);
    if (at == place.end()) continue;
    const std::string renamed = layer_tensor(at->second, layer->rest);
    const Tensor x = stored_tensor(weights, name);
    const std::optional<Cut> cut = cut_of(layer->rest);
    if (!cut) {
      tensors.push_back({renamed, x});
      continue;
    }
    check_shape(x, *cut, config.layer(layer->layer), config, name);
    const LayerKeep& kept = keep[static_cast<size_t>(at->second)];
    const std::vector<int64_t>& groups = cut->heads ? kept.heads : kept.neurons;
    const int64_t width = cut->heads ? config.head_width() : 1;
    if (groups.empty()) continue;  // no such tensor then
    tensors.push_back({renamed, cut->columns || x.shape().rank() == 1 ? pick_columns(x, groups, width)
                                                                      : pick_rows(x, groups, width)});
  }
  return tensors;
}

BertConfig dense_config(const BertConfig& pruned) {
  if (pruned.layers.empty()) return pruned;
  BertConfig dense = pruned;
  const int64_t width = pruned.head_width();
  CLOZE_CHECK(pruned.hidden_size % width == 0, ErrorCode::kUnsupported,
              "heads of width {} do not fill a hidden width of {}, which an ordinary model must", width,
              pruned.hidden_size);
  dense.num_attention_heads = pruned.hidden_size / width;
  dense.intermediate_size = 1;
  for (const LayerShape& shape : pruned.layers) {
    CLOZE_CHECK(shape.heads <= dense.num_attention_heads, ErrorCode::kUnsupported,
                "a layer has {} heads of width {}: more than fill the hidden width of {}", shape.heads, width,
                pruned.hidden_size);
    dense.intermediate_size = std::max(dense.intermediate_size, shape.feed_forward);
  }
  dense.layers.clear();
  dense.head_size = 0;
  return dense;
}

std::vector<NamedTensor> dense_tensors(Weights& weights, const BertConfig& pruned) {
  const BertConfig dense = dense_config(pruned);
  const int64_t H = dense.hidden_size, F = dense.intermediate_size;
  std::vector<NamedTensor> tensors;
  std::map<std::string, bool> there;
  for (const std::string& name : canonical_names(weights)) {
    const Tensor x = stored_tensor(weights, name);
    there[name] = true;
    const std::optional<LayerName> layer = layer_name(name);
    const std::optional<Cut> cut = layer ? cut_of(layer->rest) : std::nullopt;
    if (!cut || pruned.layers.empty()) {
      tensors.push_back({name, x});
      continue;
    }
    CLOZE_CHECK(layer->layer < pruned.num_hidden_layers, ErrorCode::kShape, "{}: the model has {} layers", name,
                pruned.num_hidden_layers);
    check_shape(x, *cut, pruned.layer(layer->layer), pruned, name);
    const int64_t wide = cut->heads ? H : F;
    const Shape shape = x.shape().rank() == 1 ? Shape({wide}) : cut->columns ? Shape({H, wide}) : Shape({wide, H});
    const Tensor y = Tensor::zeros(shape, x.dtype());
    const int64_t row = cut->columns ? x.shape()[1] : x.elements(), rows = x.elements() / std::max<int64_t>(1, row);
    const int64_t step = cut->columns ? wide : y.elements(), size = dtype_bytes(x.dtype());
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(static_cast<char*>(y.raw()) + r * step * size, static_cast<const char*>(x.raw()) + r * row * size,
                  static_cast<size_t>(row * size));
    tensors.push_back({name, y});
  }
  const DType type = weights.stored_type("bert.embeddings.word_embeddings.weight");
  for (int64_t i = 0; i < static_cast<int64_t>(pruned.layers.size()); ++i) {
    const auto add = [&](const std::string& rest, const Shape& shape) {
      std::string name = layer_tensor(i, rest);
      if (!there.contains(name)) tensors.push_back({std::move(name), Tensor::zeros(shape, type)});
    };
    for (const char* part : {"query", "key", "value"}) {
      add(fmt::format("attention.self.{}.weight", part), {H, H});
      add(fmt::format("attention.self.{}.bias", part), {H});
    }
    add("attention.output.dense.weight", {H, H});
    add("intermediate.dense.weight", {F, H});
    add("intermediate.dense.bias", {F});
    add("output.dense.weight", {H, F});
  }
  return tensors;
}

}  // namespace cloze
