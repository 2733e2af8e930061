// What the peer tokenizer (Hugging Face `tokenizers`) does with each code point, as sorted ranges.
// The data stand in char_tables.cc, which tools/probe_tokenizer.js writes; char_class.h is the way to ask.
#pragma once

#include <cstdint>
#include <span>

namespace cloze {

/// Code points first..last, both included.
struct CodeRange {
  char32_t first, last;
};

/// first, first + stride, ..., last have the lower case `code point + delta`.
struct LowerRange {
  char32_t first, last;
  int32_t delta;
  uint32_t stride;
};

/// first..last have canonical combining rank `rank`: greater than 0, in the order of the combining classes.
struct RankRange {
  char32_t first, last;
  uint32_t rank;
};

struct CharTables {
  std::span<const CodeRange> removed;          ///< clean_text drops them
  std::span<const CodeRange> whitespace;       ///< words end there
  std::span<const CodeRange> punctuation;      ///< each is a word of its own
  std::span<const CodeRange> chinese;          ///< handle_chinese_chars puts spaces around them
  std::span<const CodeRange> nonspacing_mark;  ///< strip_accents drops them (after decomposition)
  std::span<const CodeRange> word_character;   ///< \w, which added tokens with single_word look at
  std::span<const LowerRange> lower;           ///< without U+0130, the one that becomes two code points
  std::span<const RankRange> rank;             ///< all others have rank 0: starters
  std::span<const char32_t> decomposition;     ///< records: code point, how many, the full decomposition; no Hangul
};

const CharTables& char_tables();

}  // namespace cloze
