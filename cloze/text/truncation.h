// Truncation: how many tokens of one or two texts are kept so that, with the special tokens, they fit a length.
// The rules are those of Hugging Face tokenizers.
#pragma once

#include <cstdint>
#include <optional>

namespace cloze {

enum class TruncationStrategy {
  kNone,          ///< never cut
  kLongestFirst,  ///< cut the longer text down to the shorter one, then both evenly
  kOnlyFirst,     ///< cut the first text
  kOnlySecond,    ///< cut the second text
};

/// The side that loses tokens.
enum class TruncationSide { kRight, kLeft };

struct Truncation {
  TruncationStrategy strategy = TruncationStrategy::kNone;
  int64_t max_length = 512;  ///< tokens, special ones included
  TruncationSide side = TruncationSide::kRight;
};

/// Tokens of each text that stay.
struct TruncationPlan {
  int64_t first = 0, second = 0;
  int64_t dropped = 0;
};

/// `second` is absent for a single text. `special_tokens` is the number of tokens that will be added.
/// With kLongestFirst and two texts that both need cutting, first and second get half of the room each; an odd
/// token goes to the longer one (to the second if they are equal).
/// Errors: kValue if max_length has no room for the special tokens, or if kOnlyFirst or kOnlySecond would have to drop
/// its whole text and still not fit; kUsage for kOnlySecond without a second text that needs cutting.
TruncationPlan plan_truncation(int64_t first, std::optional<int64_t> second, int64_t special_tokens,
                               const Truncation& truncation);

}  // namespace cloze
