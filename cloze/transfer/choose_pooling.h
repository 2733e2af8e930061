// Which pooling suits a task: each is tried with the classifier, on rows that it was not fitted on.
#pragma once

#include <span>
#include <string>

#include "cloze/transfer/classifier.h"
#include "cloze/transfer/frozen_encoder.h"

namespace cloze {

/// cls, mean, max, the pooler if the model has one, joins of layers, and each layer's mean and first token.
Poolings pooling_candidates(const FrozenEncoder& encoder);

/// Encoded rows with their classes.
struct LabelledRows {
  const EncodedRows& rows;
  std::span<const int> labels;
  std::span<const float> class_weights = {};  ///< how much a row of each class counts; empty: 1
};

struct PoolingChoice {
  Pooling best;       ///< of most right dev rows, by weight; among equals the narrowest, then the first
  std::string table;  ///< a line each, with the accuracy, for people
};

/// On at most 2000 rows each of `train` and `dev` (both stratified), fewer where their vectors would take over 512 MB.
/// Errors: those of fit_classifier.
PoolingChoice choose_pooling(const FrozenEncoder& encoder, const LabelledRows& train, const LabelledRows& dev,
                             const std::vector<std::string>& names, const ClassifierOptions& options, bool normalize,
                             uint64_t seed);

}  // namespace cloze
