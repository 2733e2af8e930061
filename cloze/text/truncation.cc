#include "cloze/text/truncation.h"

#include <algorithm>

#include "cloze/base/error.h"

namespace cloze {
namespace {

/// Lengths (shorter, longer) of two texts of n1 <= n2 tokens, n1 + n2 > room.
std::pair<int64_t, int64_t> shorten_longest(int64_t n1, int64_t room) {
  const int64_t n2 = n1 > room ? n1 : std::max(n1, room - n1);
  if (n1 + n2 <= room) return {n1, n2};
  return {room / 2, room / 2 + room % 2};
}

}  // namespace

TruncationPlan plan_truncation(int64_t first, std::optional<int64_t> second, int64_t special_tokens,
                               const Truncation& truncation) {
  TruncationPlan plan{first, second.value_or(0), 0};
  if (truncation.strategy == TruncationStrategy::kNone) return plan;
  const int64_t room = truncation.max_length - special_tokens;
  CLOZE_CHECK(room >= 0, ErrorCode::kValue, "a maximal length of {} has no room for the {} special tokens",
              truncation.max_length, special_tokens);
  const int64_t excess = first + plan.second - room;
  if (excess <= 0) return plan;
  if (room == 0) {
    plan.first = plan.second = 0;
  } else if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    const auto [shorter, longer] =
        second ? shorten_longest(std::min(first, *second), room) : std::pair(int64_t{0}, room);
    plan.first = !second || first > *second ? longer : shorter;
    plan.second = !second ? 0 : first > *second ? shorter : longer;
  } else {
    const bool cut_first = truncation.strategy == TruncationStrategy::kOnlyFirst;
    CLOZE_CHECK(cut_first || second, ErrorCode::kUsage,
                "asked to cut only the second text, but there is one text, of {} tokens for a room of {}", first, room);
    int64_t& target = cut_first ? plan.first : plan.second;
    CLOZE_CHECK(target > excess, ErrorCode::kValue,
                "cutting only the {} text cannot help: it has {} tokens, and {} must go to fit a maximal length of {}",
                cut_first ? "first" : "second", target, excess, truncation.max_length);
    target -= excess;
  }
  plan.dropped = first + second.value_or(0) - plan.first - plan.second;
  return plan;
}

}  // namespace cloze
