// A classification task of four rows on a model of two layers, without dropout.
#pragma once

#include <memory>

#include "cloze/task/task.h"
#include "tests/base/temporary.h"

namespace cloze::test {

inline BertConfig tiny_config() {
  BertConfig config;
  config.hidden_size = 8;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 6;
  config.initializer_range = 0.6;
  return config;
}

inline std::unique_ptr<TrainingTask> tiny_task(const TemporaryFolder& place) {
  TrainingSource source;
  source.vocab = place.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nx\ny\nz\n").string();
  source.train = place.write("t.tsv", "label\ttext\na\tx y z\nb\ty y\na\tz x\nb\tx\n");
  source.scratch_config = tiny_config();
  source.dropout = 0;
  return find_training_task("text-classification").train(source);
}

}  // namespace cloze::test
