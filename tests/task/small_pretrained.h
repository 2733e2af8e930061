// A small checkpoint with the heads of pretraining, whose answers are known by construction.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "cloze/model/checkpoint.h"
#include "cloze/model/pretraining_model.h"
#include "cloze/text/tokenizer.h"

namespace cloze::test {

/// "[PAD]" 0, "[UNK]" 1, "[CLS]" 2, "[SEP]" 3, "[MASK]" 4, then words.
inline const std::vector<std::string>& small_pieces() {
  static const std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad",
                                                  "the",   "is",    "film",  "##s",   ".",      "x"};
  return pieces;
}

struct SmallPretrained {
  PretrainingHeads heads;
  std::string architecture = "BertForPreTraining";
  std::vector<std::string> pieces = small_pieces();
  int64_t positions = 32;
  /// Not random: these words are equally likely at every mask, whatever the text, and none else ever comes.
  std::vector<std::string> always;
  /// Not random: the logits of every pair.
  std::vector<float> next_logits;
  bool save_tokenizer_json = true;
};

inline Tensor constant(const Shape& shape, float value) {
  return Tensor::of(shape, std::vector<float>(static_cast<size_t>(shape.elements()), value));
}

inline void write_pretrained(const Path& dir, const SmallPretrained& small) {
  const ModelFiles files = ModelFiles::create(dir);
  BertConfig config;
  config.num_hidden_layers = 2;
  config.hidden_size = 16;
  config.num_attention_heads = 2;
  config.intermediate_size = 32;
  config.vocab_size = static_cast<int64_t>(small.pieces.size());
  config.max_position_embeddings = small.positions;
  config.architecture = small.architecture;
  PretrainingModel model(config, small.heads);
  for (Parameter* parameter : model.parameters()) {
    parameter->initialize(7, 0.4);
    // A transform that gives 0 leaves the decoder's bias alone.
    if (!small.always.empty() && parameter->name == "cls.predictions.transform.LayerNorm.weight")
      parameter->set(constant(parameter->shape, 0));
    if (!small.always.empty() && parameter->name == "cls.predictions.bias") {
      std::vector<float> bias;
      for (const std::string& piece : small.pieces)
        bias.push_back(std::find(small.always.begin(), small.always.end(), piece) != small.always.end() ? 0 : -1000);
      parameter->set(Tensor::of(parameter->shape, bias));
    }
    if (!small.next_logits.empty() && parameter->name == "cls.seq_relationship.weight")
      parameter->set(constant(parameter->shape, 0));
    if (!small.next_logits.empty() && parameter->name == "cls.seq_relationship.bias")
      parameter->set(Tensor::of(parameter->shape, small.next_logits));
  }
  if (small.save_tokenizer_json)
    Tokenizer::from_vocabulary(Vocabulary(small.pieces)).save(dir);
  else
    Vocabulary(small.pieces).save(dir / "vocab.txt");
  files.write_json(ModelFiles::kConfig, config.to_json());
  save_parameters(files, model.parameters());
}

}  // namespace cloze::test
