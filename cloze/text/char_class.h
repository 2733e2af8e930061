// Properties of single code points as the peer tokenizer sees them (not as any one version of Unicode does).
// These functions search the range tables: they serve the slow exact normalizer, the building of CharMap and
// explanations. The fast tokenizer asks CharMap.
#pragma once

#include <string>

namespace cloze {

/// Dropped by clean_text: controls but tab, line feed, carriage return; formats; private use; U+0000; U+FFFD.
bool is_removed_by_clean(char32_t c);
bool is_text_whitespace(char32_t c);
bool is_text_punctuation(char32_t c);
/// In one of the blocks of CJK ideographs. Kana and Hangul are not.
bool is_chinese_char(char32_t c);
bool is_nonspacing_mark(char32_t c);
/// \w of regular expressions: letters, marks, decimal digits, connectors.
bool is_word_character(char32_t c);

/// Order of combining marks under canonical reordering; 0 for starters, which stay where they are.
int combining_rank(char32_t c);

/// Appends the lower case: one code point, two for U+0130.
void append_lower(std::u32string& out, char32_t c);

/// Appends the full canonical decomposition (NFD of the code point alone); the code point itself if it has none.
void append_decomposition(std::u32string& out, char32_t c);

constexpr bool is_hangul_syllable(char32_t c) {
  return c >= 0xAC00 && c <= 0xD7A3;
}

}  // namespace cloze
