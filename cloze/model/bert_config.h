// config.json of a BERT checkpoint: Hugging Face's keys, checked; what Cloze does not know is kept as it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cloze/base/json.h"
#include "cloze/nn/context.h"

namespace cloze {

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

  /// Elements of one encoder layer's tensors.
  int64_t layer_elements() const;
  /// Elements of encoder, embeddings and pooler; a double, because a config may ask for more than 2^63.
  double parameter_elements() const;
  /// Floating-point operations of the encoder for one sequence, forward: L (2 (4 H^2 + 2 H F) S + 4 S^2 H).
  double forward_flops(int64_t tokens) const;
  /// About how many bytes a training step over a batch of `tokens` tokens takes beside parameters and gradients: the
  /// values that the tape keeps for the backward pass, or makes again in it, f32.
  int64_t training_bytes(int64_t tokens, Activations activations) const;
};

}  // namespace cloze
