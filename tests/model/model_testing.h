// A BERT with every head, random rows for it, and bits to compare.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/model/heads.h"
#include "tests/base/temporary.h"

namespace cloze::test {

inline BertConfig small_config(int64_t layers, int64_t hidden, int64_t heads, int64_t vocabulary,
                               int64_t positions = 512) {
  BertConfig config;
  config.num_hidden_layers = layers;
  config.hidden_size = hidden;
  config.num_attention_heads = heads;
  config.intermediate_size = 4 * hidden;
  config.vocab_size = vocabulary;
  config.max_position_embeddings = positions;
  return config;
}

struct BertWithHeads {
  Bert bert;
  ClassifierHead classifier;
  QuestionAnsweringHead answers;
  NextSentenceHead next_sentence;
  MaskedWordsHead masked_words;

  explicit BertWithHeads(const BertConfig& config, int64_t classes = 3)
      : bert(config, Pooler::kWith),
        classifier(config, classes),
        answers(config),
        next_sentence(config),
        masked_words(config) {}

  /// bert.* and classifier.*: what training a classifier moves.
  ParameterList classifier_parameters() {
    ParameterList list;
    bert.collect(list);
    classifier.collect(list);
    return list;
  }
  ParameterList all_parameters() {
    ParameterList list = classifier_parameters();
    answers.collect(list);
    next_sentence.collect(list);
    masked_words.collect(list);
    return list;
  }
};

using Rows = std::vector<std::vector<int32_t>>;

/// Random ids in [0, vocabulary), one row of each length.
inline Rows random_rows(const std::vector<int64_t>& lengths, int64_t vocabulary, uint64_t seed = 5) {
  Rng rng(seed, RandomStream::kTest);
  Rows rows;
  for (const int64_t length : lengths) {
    auto& row = rows.emplace_back();
    for (int64_t i = 0; i < length; ++i)
      row.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary))));
  }
  return rows;
}

inline std::string bits_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes())};
}

}  // namespace cloze::test
