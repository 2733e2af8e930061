// Scores over the vocabulary at single tokens of many sequences.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cloze/model/pretraining_model.h"
#include "cloze/task/long_texts.h"

namespace cloze {

/// A token whose word is asked for.
struct AskedToken {
  size_t sequence;
  int32_t position;  ///< within the sequence
};

/// Calls visit(i, logits[V]) once for each of `asked`, in no order, on several threads. The model must be frozen.
/// Memory is bounded: batches of a few thousand tokens, a few hundred rows of logits. Sequences of which nothing is
/// asked cost nothing. The logits' bits do not depend on what else is asked.
void visit_masked_logits(const PretrainingModel& model, const std::vector<TokenSequence>& sequences,
                         std::span<const AskedToken> asked,
                         const std::function<void(size_t i, std::span<const float> logits)>& visit);

struct RankedWord {
  int32_t id;
  float probability;  ///< softmax over all logits
};
/// The most probable of the first `words` ids, best first; of equal ones the smaller id. Not more than there are.
std::vector<RankedWord> best_words(std::span<const float> logits, int64_t words, int64_t count);

/// log of the softmax at `id`, and how many ids go before it in the order of best_words() over all logits.
struct WordScore {
  double log_probability;
  int64_t rank;
};
WordScore score_word(std::span<const float> logits, int32_t id);

}  // namespace cloze
