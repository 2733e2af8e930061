// A model directory of random weights for a test.
#pragma once

#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"
#include "tests/base/temporary.h"

namespace cloze::test {

/// Three layers of width 12, whose sizes are all different.
inline BertConfig small_config() {
  BertConfig config;
  config.vocab_size = 11;
  config.hidden_size = 12;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 3;
  config.intermediate_size = 5;
  config.max_position_embeddings = 8;
  config.type_vocab_size = 2;
  return config;
}

/// Random weights, large enough for every part to matter.
inline void write_random(const Path& folder, const BertConfig& config, DType type = DType::kF32) {
  Bert bert(config, Pooler::kWith);
  ParameterList parameters;
  bert.collect(parameters);
  for (Parameter* parameter : parameters) {
    parameter->init = Init::kNormal;
    parameter->initialize(3, 0.5);
  }
  const ModelFiles files = ModelFiles::create(folder);
  files.write_json(ModelFiles::kConfig, config.to_json());
  save_parameters(files, parameters, type);
}

}  // namespace cloze::test
