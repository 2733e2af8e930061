// The layers of BERT, written forward only: the tape makes the backward pass.
// Dimensions: T tokens, B sequences, H hidden, N heads, A their width together, F feed-forward, V vocabulary, P
// positions.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "cloze/nn/context.h"
#include "cloze/nn/parameter.h"
#include "cloze/ops/low_rank.h"
#include "cloze/ops/ops.h"

namespace cloze {

/// How adapters begin: their rank, by what their product is scaled (alpha / rank), and from which random numbers.
struct AdapterOptions {
  int64_t rank = 8;
  double alpha = 16;
  uint64_t seed = 0;
};

/// x[T,K] -> activation(x W^T + b) [T,M].
class Linear {
 public:
  Linear(const std::string& name, int64_t inputs, int64_t outputs);
  /// `training` is the precision of the products where gradients are recorded.
  Var forward(const Var& x, Activation activation = Activation::kNone, Precision training = Precision::kF32) const;
  void collect(ParameterList& list);
  void collect_bias(ParameterList& list) { list.push_back(&bias_); }
  /// From now on freeze() works from weights that are stored compact too, if it is the only form that is needed.
  void allow_compact() { weight_.runs_as_int8 = weight_.runs_as_sparse = true; }
  /// Null where the weight is floats.
  const CompactWeight* compact() const { return weight_.compact.get(); }
  /// Tells the weight's Parameter::seen, if there, of an input.
  void note(const Var& x) const;
  /// Makes the backend's own form of the weight, for inference. The weight must not change until thaw().
  void freeze(Precision precision = Precision::kF32);
  void thaw() { prepared_.reset(); }
  /// Undefined where the weight is compact alone.
  const Var& weight() const { return weight_.var; }
  Var floats() const { return weight_.floats(); }
  const Var& bias() const { return bias_.var; }

  /// Adds a trained change of low rank to the weight (ops/low_rank.h): A [R,K] starts normal with deviation 1 /
  /// sqrt(K), B [M,R] at 0, so that nothing changes at first. Errors: kUsage for a rank beyond the weight's.
  void add_adapter(const AdapterOptions& options);
  void collect_adapter(ParameterList& list);
  /// What is added to the weight; nothing without an adapter and while it is merged.
  LowRank change() const;
  /// Puts the sum in the weight's place, as a constant, until unmerge().
  void merge_adapter();
  void unmerge_adapter();

 private:
  struct Adapter {
    Parameter a, b;
    double scale;
  };
  Parameter weight_, bias_;
  std::shared_ptr<Adapter> adapter_;
  Var unmerged_;  ///< the weight itself while the sum is in its place
  std::shared_ptr<PreparedWeight> prepared_;
};

/// layer_norm(dropout(x) + residual); the residual may be undefined.
class LayerNorm {
 public:
  LayerNorm(const std::string& name, int64_t hidden, double eps);
  Var forward(const Var& x, const Var& residual = {}, const Dropout& dropout = {}) const;
  void collect(ParameterList& list);

 private:
  Parameter gamma_, beta_;
  double eps_;
};

/// `heads` or `feed_forward` may be 0: that half of the layer has no weights then, only its output bias, which is added
/// to the residual.
struct EncoderSizes {
  int64_t hidden, heads, head_width, feed_forward;
  int64_t attention_width() const { return heads * head_width; }
  Activation activation;
  double hidden_dropout, attention_dropout, eps;
};

/// Word + position + segment embeddings, layer norm, dropout.
class Embeddings {
 public:
  Embeddings(const std::string& name, int64_t vocabulary, int64_t positions, int64_t segments,
             const EncoderSizes& sizes);
  Var forward(const RaggedBatch& batch, ForwardContext& context) const;
  void collect(ParameterList& list);
  const Var& word() const { return word_.var; }
  /// Refuses to keep the word embeddings in 8 bits, for those who read word().
  void need_floats() { word_.runs_as_int8 = false; }

 private:
  Var embed_int8(const RaggedBatch& batch) const;

  Parameter word_, position_, segment_;
  LayerNorm norm_;
  double dropout_;
};

/// Rows [R] I32 of a batch's tokens, in order; those of sequence b are rows[offsets[b]] to rows[offsets[b+1]].
struct PickedRows {
  Tensor rows, offsets;
};

/// One transformer layer (Devlin et al., 2019; Vaswani et al., 2017, post-norm).
class EncoderLayer {
 public:
  EncoderLayer(const std::string& name, const EncoderSizes& sizes);
  /// [T,H] -> [T,H]. Keeps or recomputes what is within, as the context says.
  Var forward(const Var& x, const Tensor& offsets, ForwardContext& context) const;
  /// The same at the picked rows only [R,H], which spares the work of all others but their keys and values. What is
  /// within is kept: this is the last layer, whose backward pass comes at once.
  Var forward_at(const PickedRows& picked, const Var& x, const Tensor& offsets, ForwardContext& context) const;
  /// What attention compares, from the layer's input: queries and keys side by side, [T,2A]. Errors:
  /// kInternal without heads.
  Var queries_and_keys(const Var& x) const;
  /// Queries, keys and values side by side, [T,3A]. Errors: as above.
  Var projections(const Var& x) const;
  void collect(ParameterList& list);
  /// The linear layers that may have an adapter: query, key, value, attention_output, up, down.
  static const std::vector<std::string>& adapter_targets();
  void add_adapters(std::span<const std::string> targets, const AdapterOptions& options);
  void collect_adapters(ParameterList& list);
  void merge_adapters();
  void unmerge_adapters();
  /// For the one or the other forward pass; both stay possible.
  enum class Rows : uint8_t { kAll, kPicked };
  void freeze(Rows rows = Rows::kAll, Precision precision = Precision::kF32);
  void thaw();

 private:
  struct Dropouts {
    Dropout attention, first, second;
  };
  Dropouts next_dropouts(ForwardContext& context) const;
  bool attends() const { return sizes_.heads > 0; }
  bool thinks() const { return sizes_.feed_forward > 0; }
  std::vector<Linear*> linears() { return {&query_, &key_, &value_, &attention_output_, &up_, &down_}; }
  bool has(const Linear* layer) const { return layer == &up_ || layer == &down_ ? thinks() : attends(); }
  Var forward_with(const Dropouts& dropouts, const Var& x, const Tensor& offsets, Precision training) const;
  /// `mixed` is undefined without heads.
  Var after_attention(const Var& mixed, const Var& x, const Dropouts& dropouts, Precision training) const;

  EncoderSizes sizes_;
  std::shared_ptr<PreparedWeight> qkv_, kv_;  ///< query, key and value in one, key and value in one
  Linear query_, key_, value_, attention_output_, up_, down_;
  LayerNorm attention_norm_, output_norm_;
};

}  // namespace cloze
