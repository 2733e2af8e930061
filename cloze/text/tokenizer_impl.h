// What a Tokenizer holds. Internal to tokenizer*.cc.
#pragma once

#include <unordered_map>

#include "cloze/text/text_encoder.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

/// The longest text that is taken: a repaired one is at most three times as long.
inline constexpr size_t kMaxTextBytes = 0x7FFFFFFF / 3;

struct Tokenizer::Impl {
  Impl(Vocabulary vocabulary_in, TokenizerOptions options_in);

  Vocabulary vocabulary;
  TokenizerOptions options;
  std::vector<AddedToken> added;  ///< ascending ids
  int64_t size;
  TextEncoder encoder;
};

/// options.added_tokens (or the default ones) with all ids set, special ones first, otherwise in their order.
/// Errors: kFormat if an id contradicts the vocabulary or another token, or leaves a gap of unused ids.
std::vector<AddedToken> resolve_added_tokens(const Vocabulary& vocabulary, const TokenizerOptions& options);

}  // namespace cloze
