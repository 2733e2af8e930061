#include "cloze/compress/quantize.h"

#include <algorithm>
#include <set>

#include "cloze/backend/int8.h"
#include "cloze/base/suggest.h"
#include "cloze/compress/sparsify.h"
#include "cloze/compress/tensor_parts.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"

namespace cloze {
namespace {

constexpr const char* kEmbeddings = "embeddings";

/// The part that a weight belongs to; empty for what is not quantized.
std::string part_of(const std::string& name) {
  if (name == "bert.embeddings.word_embeddings.weight") return kEmbeddings;
  const std::optional<LayerName> layer = layer_name(name);
  if (!layer) return "";
  for (const char* rest : {"attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight",
                           "attention.output.dense.weight"})
    if (layer->rest == rest) return fmt::format("layer.{}.attention", layer->layer);
  if (layer->rest == "intermediate.dense.weight" || layer->rest == "output.dense.weight")
    return fmt::format("layer.{}.ffn", layer->layer);
  return "";
}

}  // namespace

std::vector<std::string> int8_parts(const BertConfig& config) {
  std::vector<std::string> parts = {kEmbeddings};
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    if (config.layer(i).heads > 0) parts.push_back(fmt::format("layer.{}.attention", i));
    if (config.layer(i).feed_forward > 0) parts.push_back(fmt::format("layer.{}.ffn", i));
  }
  return parts;
}

void check_parts(const std::vector<std::string>& names, const std::vector<std::string>& known) {
  for (const std::string& name : names)
    CLOZE_CHECK(std::ranges::find(known, name) != known.end(), ErrorCode::kUsage,
                "no part \"{}\"{}; there are embeddings, and layer.N.attention and layer.N.ffn of each layer", name,
                did_you_mean(name, known));
}

QuantizeOptions stored_form(const Path& model) {
  const Weights weights(model);
  QuantizeOptions form{int8_parts(load_config(ModelFiles::open(model))), {}};
  std::set<DType> types;
  for (const std::string& name : canonical_names(weights)) {
    if (weights.is_int8(name)) continue;
    std::erase(form.int8, part_of(name));
    types.insert(weights.stored_type(name));
  }
  if (types.size() == 1) form.floats = *types.begin();
  return form;
}

void write_quantized(const Path& from, const Path& to, const QuantizeOptions& options) {
  const BertConfig config = load_config(ModelFiles::open(from));
  refuse_frozen_classifier(config, from);
  Weights weights(from);
  std::vector<NamedTensor> tensors;
  CompactNote note;
  for (const std::string& name : canonical_names(weights)) {
    const std::string part = part_of(name);
    if (!part.empty() && std::ranges::find(options.int8, part) != options.int8.end()) {
      const Shape shape = *weights.shape_of(name);
      note.int8 = true;
      CLOZE_CHECK(shape.rank() == 2, ErrorCode::kShape, "{}: {} is {}, expected [M,K]", weights.source().string(), name,
                  shape);
      Int8Weight weight = weights.is_int8(name) ? int8_weight(weights.get_int8(name, shape))
                                                : quantize_weight(weights.get(name, shape));
      if (const auto range = options.inputs.find(name); range != options.inputs.end())
        weight.inputs = row_scale(range->second.lo, range->second.hi);
      append_int8(tensors, name, weight);
      continue;
    }
    const Tensor value = *weights.find(name);
    if (value.dtype() != DType::kF32) {
      tensors.push_back({name, value});
      continue;
    }
    check_finite(value, name, weights.file_of(name).string());
    const DType type = options.floats.value_or(weights.stored_type(name));
    tensors.push_back({name, type == DType::kF32 ? value : to_half(value, type)});
  }
  copy_model_rest(weights, from, to);
  const ModelFiles files = ModelFiles::create(to);
  Json json = config.to_json();
  const bool plain = options.int8.empty() && options.floats == DType::kF32;  // for other readers
  note.sparse = !plain && stores_sparse(weights) && store_sparse(tensors);
  note.write(json);
  files.write_json(ModelFiles::kConfig, json);
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

}  // namespace cloze
