// Names of tensors in BERT checkpoints: the ways in which files of different ages and tools spell the same tensor.
#pragma once

#include <string>
#include <string_view>

namespace cloze {

/// The name that Hugging Face's BertFor... classes use today, e.g. "bert.encoder.layer.0.attention.self.query.weight":
///  - a leading "module." (torch DataParallel) is dropped;
///  - "bert." is put before "embeddings.", "encoder." and "pooler." (files of the bare BertModel have no prefix);
///  - "LayerNorm.gamma" and "LayerNorm.beta" (TensorFlow's words) end in "weight" and "bias".
/// Other names, heads among them, stay as they are.
std::string canonical_bert_name(std::string_view name);

/// True for canonical names whose absence changes nothing: buffers of constants ("*.position_ids", "*.token_type_ids")
/// and the second copy of tied weights ("cls.predictions.decoder.weight" and ".bias").
bool is_redundant_bert_name(std::string_view canonical);

}  // namespace cloze
