// Masking for masked-word training (Devlin et al., 2019, section 3.1, task 1): a share of the tokens is to be
// predicted; most of these are shown as [MASK], some as a random token, some as they are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

struct MaskingOptions {
  double rate = 0.15;         ///< of the tokens of a sequence that are to be predicted, at least one
  double mask_share = 0.8;    ///< of these are shown as [MASK]
  double random_share = 0.1;  ///< of these are shown as a random token; the rest as they are
  bool whole_words = true;    ///< all tokens of a word or none
  bool operator==(const MaskingOptions&) const = default;
};

/// What may be masked and what masks.
class Masker {
 public:
  /// Errors: kNotFound where the vocabulary has no mask token; kUsage for shares that cannot be; kValue where the
  /// vocabulary has nothing but special tokens.
  Masker(const Tokenizer& tokenizer, const MaskingOptions& options);

  /// False for special tokens and [unusedN], which are never masked nor drawn.
  bool maskable(int32_t id) const { return maskable_[static_cast<size_t>(id)]; }

  /// Masks `ids` in place. begins_word[i] says where words begin; tokens that are not maskable stay. Appends to
  /// `positions` (ascending) and `targets` what is to be predicted: round(rate x maskable tokens) of them, at least
  /// one; with whole words fewer, where the next word is longer than what is left, but never none: then one word is
  /// taken whatever its length. Nothing where no token is maskable. The result depends on the arguments and `random`.
  void mask(std::span<int32_t> ids, std::span<const uint8_t> begins_word, Rng& random, std::vector<int32_t>& positions,
            std::vector<int32_t>& targets) const;

 private:
  MaskingOptions options_;
  int32_t mask_id_;
  std::vector<bool> maskable_;
  std::vector<int32_t> drawable_;  ///< all maskable ids
};

}  // namespace cloze
