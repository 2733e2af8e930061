// config.json of a BERT checkpoint: Hugging Face's keys, checked; what Cloze does not know is kept as it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cloze/base/json.h"
#include "cloze/nn/context.h"

namespace cloze {

/// What pruning leaves of a layer. Without heads (or without neurons) that half of it is its output bias, the residual
/// and the layer norm.
struct LayerShape {
  int64_t heads, feed_forward;
  bool operator==(const LayerShape&) const = default;
};

struct BertConfig {
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;
  int64_t type_vocab_size = 2;
  int64_t pad_token_id = 0;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  double initializer_range = 0.02;
  double layer_norm_eps = 1e-12;
  Activation hidden_act = Activation::kGelu;
  /// One for each layer where they differ ("cloze": {"layers": …}); empty: all have num_attention_heads and
  /// intermediate_size.
  std::vector<LayerShape> layers;
  /// Width of a head ("cloze": {"head_size": …}); 0: hidden_size / num_attention_heads.
  int64_t head_size = 0;
  /// id2label, in order of id; empty where the file has none.
  std::vector<std::string> labels;
  /// architectures[0], e.g. "BertForSequenceClassification"; empty where absent.
  std::string architecture;
  /// The member "cloze" (task, pooling, thresholds …); an empty object where absent.
  Json cloze = Json::object();
  /// The whole object as read; to_json() starts from it.
  Json source = Json::object();

  /// Reads and checks. `where` names the file. Errors: kFormat, kValue for impossible sizes, kUnsupported for another
  /// architecture (model_type, relative positions, decoders).
  static BertConfig from_json(const Json& object, const std::string& where);
  /// The published sizes: tiny 2x128, mini 4x256, small 4x512, medium 8x512, base 12x768, large 24x1024 (Turc et al.,
  /// "Well-Read Students Learn Better", 2019; Devlin et al., 2019). Errors: kUsage for another name.
  static BertConfig preset(const std::string& size);
  Json to_json() const;

  LayerShape layer(int64_t i) const {
    return layers.empty() ? LayerShape{num_attention_heads, intermediate_size} : layers[static_cast<size_t>(i)];
  }
  int64_t head_width() const { return head_size > 0 ? head_size : hidden_size / num_attention_heads; }
  /// Elements of one encoder layer's tensors.
  int64_t layer_elements(const LayerShape& shape) const;
  /// Elements of all encoder layers; a double, because a config may ask for more than 2^63.
  double encoder_elements() const;
  /// Elements of encoder, embeddings and pooler.
  double parameter_elements() const;
  /// Floating-point operations of the encoder for one sequence, forward: sum over layers of
  /// 2 (4 H A + 2 H F) S + 4 S^2 A, A being the width of the layer's heads together.
  double forward_flops(int64_t tokens) const;
  /// About how many bytes a training step over a batch of `tokens` tokens takes beside parameters and gradients: the
  /// values that the tape keeps for the backward pass, or makes again in it, f32.
  int64_t training_bytes(int64_t tokens, Activations activations) const {
    return training_bytes(tokens, activations, {num_hidden_layers, true});
  }
  /// The same where only a part of the encoder is recorded.
  struct Recorded {
    int64_t layers;       ///< so many of the highest, 0 to num_hidden_layers
    bool weights = true;  ///< false: of these, biases alone are trained, for which no input is kept
  };
  int64_t training_bytes(int64_t tokens, Activations activations, const Recorded& recorded) const;
};

}  // namespace cloze
