#include "cloze/compress/write_model.h"

#include "cloze/compress/keep_compact.h"
#include "cloze/compress/vocabulary.h"
#include "cloze/model/checkpoint.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze {
namespace {

constexpr std::string_view kRewritten[] = {ModelFiles::kConfig, ModelFiles::kWeights, ModelFiles::kWeightsIndex};

}  // namespace

void copy_model_rest(const Weights& weights, const Path& from, const Path& to) {
  std::vector<std::string> shards;
  for (const Path& file : weights.files()) shards.push_back(file.filename().string());
  std::vector<std::string_view> without(std::begin(kRewritten), std::end(kRewritten));
  without.insert(without.end(), shards.begin(), shards.end());
  copy_model_files(from, to, without);
}

void refuse_frozen_classifier(const BertConfig& config, const Path& folder) {
  CLOZE_CHECK(
      !is_frozen_classifier(config), ErrorCode::kUnsupported,
      "{} is a classifier on a frozen encoder, which knows the vectors of the whole encoder: compress the encoder, "
      "then fit the classifier again",
      folder.string());
}

void write_pruned(const Path& from, const Path& to, const Structure& keep, std::span<const int32_t> pieces) {
  const BertConfig config = load_config(ModelFiles::open(from));
  refuse_frozen_classifier(config, from);
  Weights weights(from);
  BertConfig pruned = pruned_config(config, keep);
  std::vector<NamedTensor> tensors = prune_tensors(weights, config, keep);
  copy_model_rest(weights, from, to);
  if (!pieces.empty()) {
    const Tokenizer tokenizer = prune_vocabulary(Tokenizer::load(from), pieces);
    prune_rows(tensors, pieces);
    tokenizer.save(to);
    pruned.vocab_size = static_cast<int64_t>(pieces.size());
    pruned.pad_token_id = tokenizer.vocabulary().id(tokenizer.vocabulary().names().pad).value_or(0);
  }
  const ModelFiles files = ModelFiles::create(to);
  Json json = pruned.to_json();
  std::vector<int64_t> layers;
  for (const LayerKeep& layer : keep) layers.push_back(layer.layer);
  keep_compact(tensors, weights, layers).write(json);
  files.write_json(ModelFiles::kConfig, json);
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

void write_layers(const Path& from, const Path& to, int64_t count) {
  const BertConfig config = load_config(ModelFiles::open(from));
  const int64_t all = config.num_hidden_layers;
  CLOZE_CHECK(count >= 1 && count <= all, ErrorCode::kValue, "{} of the {} layers of {} cannot be kept", count, all,
              from.string());
  const Structure whole = whole_structure(config);
  Structure keep;
  for (int64_t i = 1; i <= count; ++i)
    keep.push_back(whole[static_cast<size_t>((2 * i * all + count) / (2 * count) - 1)]);
  write_pruned(from, to, keep, {});
}

void write_dense(const Path& from, const Path& to) {
  const BertConfig config = load_config(ModelFiles::open(from));
  Weights weights(from);
  const std::vector<NamedTensor> tensors = dense_tensors(weights, config);
  copy_model_rest(weights, from, to);
  const ModelFiles files = ModelFiles::create(to);
  files.write_json(ModelFiles::kConfig, dense_config(config).to_json());
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

}  // namespace cloze
