// BERT's encoder (Devlin et al., 2019), with Hugging Face's tensor names.
// Dimensions: T tokens, B sequences, H hidden.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "cloze/model/bert_config.h"
#include "cloze/nn/layers.h"

namespace cloze {

enum class Pooler : uint8_t { kWith, kWithout };

class Bert {
 public:
  Bert(const BertConfig& config, Pooler pooler);

  /// Hidden states of the last layer [T,H]. Errors: kValue where a sequence has no token or more than
  /// max_position_embeddings, or an id is outside the vocabulary.
  Var forward(const RaggedBatch& batch, ForwardContext& context) const;
  /// forward(batch) at some rows alone [R,H], without the last layer's work for the others. Errors: as forward.
  Var forward_at(const RaggedBatch& batch, const PickedRows& picked, ForwardContext& context) const;
  /// The hidden states [T,H] of the embeddings (layer 0), then of layers 1 to `last`, as they are made. Errors: as
  /// forward; kInternal for a layer that is not there.
  void visit_layers(const RaggedBatch& batch, ForwardContext& context, int64_t last,
                    const std::function<void(int64_t layer, const Var& hidden)>& visit) const;
  const std::vector<EncoderLayer>& layers() const { return layers_; }
  /// The layers alone, from embeddings [T,H].
  Var encode(const Var& embeddings, const Tensor& offsets, ForwardContext& context) const;
  /// tanh(W h + b) of each sequence's first token: [B,H]. Errors: kInternal without a pooler.
  Var pooled(const Var& hidden, const RaggedBatch& batch) const;
  /// The same of hidden states at given rows: [R,H].
  Var pool(const Var& first) const;
  /// pooled(forward(batch)), without the last layer's work for all other tokens, which nobody would read.
  Var pooled_only(const RaggedBatch& batch, ForwardContext& context) const;

  const BertConfig& config() const { return config_; }
  /// The word embeddings [V,H], to which the decoder of masked words is tied.
  const Var& word_embeddings() const { return embeddings_.word(); }
  /// Before loading, for those who read word_embeddings(): 8 bits are not kept there.
  void need_float_embeddings() { embeddings_.need_floats(); }
  bool has_pooler() const { return pooler_.has_value(); }
  void collect(ParameterList& list);
  /// Adapters on these linear layers of every encoder layer (EncoderLayer::adapter_targets), beside what collect()
  /// lists. Merged, the model is an ordinary one.
  void add_adapters(std::span<const std::string> targets, const AdapterOptions& options);
  void collect_adapters(ParameterList& list);
  void merge_adapters();
  void unmerge_adapters();
  /// What the tape records of a training pass, by which parameters are trained.
  BertConfig::Recorded recorded() const;
  /// Before inference: makes fast forms of the weights, which must not change until thaw().
  /// `rows` says what for: kAll for forward(), kPicked for pooled_only(). Both stay possible.
  /// `precision` is that of the encoder's layers; what stands before and after them stays f32.
  void freeze(EncoderLayer::Rows rows = EncoderLayer::Rows::kAll, Precision precision = Precision::kF32);
  void thaw();

 private:
  void check_lengths(const RaggedBatch& batch) const;

  BertConfig config_;
  Embeddings embeddings_;
  std::vector<EncoderLayer> layers_;
  std::optional<Linear> pooler_;
};

}  // namespace cloze
