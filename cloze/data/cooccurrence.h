// Which tokens stand near each other in token caches, and how surprising that is: what words' vectors can be made of
// before any training.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cloze/tensor/tensor.h"

namespace cloze {

/// Cached tokens (CachedToken), whole documents, and how often they count.
struct WeightedTokens {
  std::span<const uint32_t> tokens;
  double weight = 1;
};

struct CooccurrenceOptions {
  int64_t vocabulary = 0;  ///< ids are below
  int64_t window = 8;      ///< tokens to each side, within the document
  /// Neighbours that are counted: so many of the most frequent tokens, and fewer where the table would be too large.
  int64_t contexts = 4096;
  int64_t most_entries = int64_t{1} << 26;  ///< vocabulary times contexts; the counts take twice 4 bytes of it
  /// Of each text its first so many: more would change little and might overflow a count.
  int64_t most_tokens = int64_t{200} << 20;
};

struct Cooccurrence {
  std::vector<double> frequency;  ///< [V], weighted
  Tensor counts;                  ///< [V,C] F32, weighted: row's token with column's token near it
};

/// Counts on all threads; the same bits with any number of them. Errors: kValue for options that cannot be, or an id
/// beyond the vocabulary.
Cooccurrence count_cooccurrence(std::span<const WeightedTokens> texts, const CooccurrenceOptions& options);

/// In place: counts to positive pointwise mutual information, max(0, log(P(w,c) / (P(w) P_a(c)))), where P_a is the
/// columns' distribution raised to the power a = 0.75 (Levy, Goldberg and Dagan, "Improving Distributional Similarity
/// with Lessons Learned from Word Embeddings", 2015, sections 2.1 and 3.2). Rows without counts stay 0.
void to_positive_information(Tensor& counts);

}  // namespace cloze
