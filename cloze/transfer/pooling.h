// How the hidden states of an encoder become one vector a text.
// Dimensions: T tokens, B sequences, H hidden, L layers, D width of a vector.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cloze/model/bert.h"

namespace cloze {

/// One pooling, written TOKENS or LAYERS or TOKENS@LAYERS.
///   TOKENS  cls (the first token), pooler (its tanh layer, of the last layer only), mean, max, sum: over all tokens of
///           a sequence, [CLS] and [SEP] among them, as sentence-transformers has it. Default: mean.
///   LAYERS  last; layer=K (0 is the embeddings' output); first-last: the mean of layer 0 and the last (Gao, Yao and
///           Chen, "SimCSE", 2021); last4-mean: of the last four; last4-concat: those end to end (Devlin et al., 2019,
///           table 7). Default: last.
struct Pooling {
  enum class Tokens : uint8_t { kCls, kPooler, kMean, kMax, kSum };
  enum class Layers : uint8_t { kLast, kOne, kFirstLast, kLast4Mean, kLast4Concat };
  Tokens tokens = Tokens::kMean;
  Layers layers = Layers::kLast;
  int64_t layer = 0;  ///< of kOne

  /// Errors: kUsage, with the words that there are.
  static Pooling parse(const std::string& text);
  std::string text() const;
  bool operator==(const Pooling&) const = default;
};

/// Several, whose vectors are joined end to end: "mean,cls@layer=2".
using Poolings = std::vector<Pooling>;
Poolings parse_poolings(const std::string& text);
std::string poolings_text(const Poolings& poolings);
bool needs_pooler(const Poolings& poolings);

/// Errors: kUsage for a layer that the model lacks, four last ones of fewer, or the same pooling twice.
void check_poolings(const Poolings& poolings, const BertConfig& config);
/// D, the width of the joined vectors.
int64_t vector_width(const Poolings& poolings, const BertConfig& config);

/// Of each sequence: [B,D] F32. Nothing is recorded. Means and sums are added in f64. A sequence's vector does not
/// depend on the others. The poolings have been checked.
Tensor sequence_vectors(const Bert& bert, const RaggedBatch& batch, const Poolings& poolings);
/// Of each token by the layers of one pooling: [T,D] F32.
Tensor token_vectors(const Bert& bert, const RaggedBatch& batch, const Pooling& pooling);

}  // namespace cloze
