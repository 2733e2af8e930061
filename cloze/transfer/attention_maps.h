// Who looks at whom: the probabilities of every layer's attention, which the encoder itself never holds.
#pragma once

#include <string>
#include <vector>

#include "cloze/transfer/frozen_encoder.h"

namespace cloze {

/// Of one sequence of S tokens, as the model takes it.
struct AttentionMaps {
  std::vector<std::string> tokens;  ///< [S], as in the vocabulary; [CLS] and [SEP] among them
  std::vector<int32_t> segments;    ///< [S]
  std::vector<Tensor> layers;       ///< of each layer [N,S,S] F32: head n's softmax(q k^T / sqrt(D)), rows sum to 1
};

/// Of the row's sequence, or of each of its windows. Takes layers * heads * S * S * 4 bytes.
std::vector<AttentionMaps> attention_maps(const FrozenEncoder& encoder, const TextExample& row);

/// {"tokens": […], "segments": […], "attention": [layer][head][from][to]}, on one line.
std::string attention_line(const AttentionMaps& maps);

}  // namespace cloze
