#include "cloze/text/char_class.h"

#include <algorithm>
#include <unordered_map>

#include "cloze/text/char_tables.h"

namespace cloze {
namespace {

/// The range that holds `c`, or nullptr. The ranges are sorted by `first` and may interleave only by their strides.
template <class Range>
const Range* find_range(std::span<const Range> ranges, char32_t c) {
  auto at = std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t x, const Range& r) { return x < r.first; });
  if (at == ranges.begin()) return nullptr;
  --at;
  return c <= at->last ? &*at : nullptr;
}

bool contains(std::span<const CodeRange> ranges, char32_t c) {
  return find_range(ranges, c) != nullptr;
}

/// Where each record of the decomposition table begins.
const std::unordered_map<char32_t, const char32_t*>& decomposition_records() {
  static const auto kRecords = [] {
    std::unordered_map<char32_t, const char32_t*> records;
    const auto data = char_tables().decomposition;
    for (size_t at = 0; at < data.size(); at += 2 + data[at + 1]) records.emplace(data[at], &data[at]);
    return records;
  }();
  return kRecords;
}

/// Hangul syllables follow arithmetic (Unicode, section 3.12).
void append_hangul(std::u32string& out, char32_t c) {
  const char32_t syllable = c - 0xAC00;
  out += static_cast<char32_t>(0x1100 + syllable / 588);
  out += static_cast<char32_t>(0x1161 + syllable % 588 / 28);
  if (syllable % 28 != 0) out += static_cast<char32_t>(0x11A7 + syllable % 28);
}

}  // namespace

bool is_removed_by_clean(char32_t c) {
  return contains(char_tables().removed, c);
}
bool is_text_whitespace(char32_t c) {
  return contains(char_tables().whitespace, c);
}
bool is_text_punctuation(char32_t c) {
  return contains(char_tables().punctuation, c);
}
bool is_chinese_char(char32_t c) {
  return contains(char_tables().chinese, c);
}
bool is_nonspacing_mark(char32_t c) {
  return contains(char_tables().nonspacing_mark, c);
}
bool is_word_character(char32_t c) {
  return contains(char_tables().word_character, c);
}

int combining_rank(char32_t c) {
  const RankRange* range = find_range(char_tables().rank, c);
  return range ? static_cast<int>(range->rank) : 0;
}

void append_lower(std::u32string& out, char32_t c) {
  if (c == 0x130) {
    out += U"i\u0307";
    return;
  }
  const LowerRange* range = find_range(char_tables().lower, c);
  const bool moves = range && (c - range->first) % range->stride == 0;
  out += moves ? static_cast<char32_t>(static_cast<int32_t>(c) + range->delta) : c;
}

void append_decomposition(std::u32string& out, char32_t c) {
  if (is_hangul_syllable(c)) return append_hangul(out, c);
  const auto& records = decomposition_records();
  const auto found = records.find(c);
  if (found == records.end()) {
    out += c;
  } else {
    out.append(found->second + 2, found->second[1]);
  }
}

}  // namespace cloze
