// Weights to begin pretraining with that already know what counting the text tells: from random ones a small model
// needs most of a day to find it out.
#pragma once

#include <cstdint>
#include <string>

#include "cloze/data/cooccurrence.h"
#include "cloze/model/bert_config.h"
#include "cloze/nn/parameter.h"

namespace cloze {

/// Of initialised parameters, replaces (r is the config's initializer_range, docs/numerics.md has the formulas):
/// - word embeddings by vectors from co-occurrence: truncated_svd of the positive information, each vector of length
///   2 r sqrt(H); tokens that never stand anywhere keep random rows. The masked words' bias by log frequencies.
/// - position embeddings by waves of deviation 2 r.
/// - in the first half of the layers, query and key of half of the heads, so that they look at the token before, at the
///   one after, two before, … . All other queries and keys get deviation 1 / sqrt(H).
/// `counts` is used up. The same bits for the same seed. Errors: those of truncated_svd.
void start_from_counts(const ParameterList& parameters, const BertConfig& config, Cooccurrence counts, uint64_t seed);

}  // namespace cloze
