// Rows that hold masks: where they are, which of a row's sequences answers each, and texts with the masks filled.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/task/traced_row.h"

namespace cloze {

struct Mask {
  size_t piece;
  bool in_second;
  TextSpan offset, bytes;  ///< in its text
  size_t sequence = 0;     ///< of the row: which one answers
  int32_t position = -1;   ///< in that sequence; -1: cut off
};

struct MaskedText {
  std::string first, second;  ///< valid UTF-8, to which the masks' places refer
  TracedRow row;
  std::vector<Mask> masks;  ///< in order
};

/// The masks of a row. Of several windows that hold a mask, the one answers in which it has most text on both sides.
MaskedText find_masks(const Tokenizer& tokenizer, const TextExample& row, const RowLimits& limits, int32_t mask_id,
                      const std::string& mask_name);

/// The first or second text with `words`, one for each of the row's masks, in their places. A word that is the inside
/// of one (`prefix`, "##ing") joins what stands before.
std::string fill_masks(const MaskedText& text, bool second, std::span<const std::string_view> words,
                       std::string_view prefix);

}  // namespace cloze
