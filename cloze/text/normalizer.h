// The exact normalizer: BERT's clean-up of a whole text, step by step, with the way back to the source for each
// character. It is slow and general; the tokenizer uses it only where CharMap says that characters depend on each
// other, where added tokens must be found in normalized text, and for explanations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/text/char_map.h"

namespace cloze {

/// A part of the source text, in bytes and in code points.
struct SourceSpan {
  int32_t byte_begin = 0, byte_end = 0;
  int32_t point_begin = 0, point_end = 0;
  bool operator==(const SourceSpan&) const = default;
};

/// One character of the normalized text and the source that it is aligned to.
struct NormalizedChar {
  char32_t code_point;
  SourceSpan source;
};

/// Appends the code points of `text` to `out`. The spans begin at `byte` and `point`. False at invalid UTF-8.
bool decode_text(std::string_view text, int32_t byte, int32_t point, std::vector<NormalizedChar>& out);

// The steps, in the order of normalize(); each works in place.
void clean_text(std::vector<NormalizedChar>& text);
void pad_chinese_chars(std::vector<NormalizedChar>& text);
void strip_accents(std::vector<NormalizedChar>& text);
void lowercase(std::vector<NormalizedChar>& text);

void normalize(std::vector<NormalizedChar>& text, const NormalizerOptions& options);

/// Only the text of it.
std::string normalize(std::string_view text, const NormalizerOptions& options);

}  // namespace cloze
