// Attention drawn: one HTML page without other files, and a table of what each head looks at.
#pragma once

#include <string>

#include "cloze/transfer/attention_maps.h"

namespace cloze {

/// Mean shares of a head's attention, over all tokens that look.
struct HeadHabits {
  double itself = 0, previous = 0, next = 0;
  double first = 0, separators = 0;  ///< [CLS], and all [SEP]
  double entropy = 0;                ///< mean, in bits; 0: one token alone, log2 S: all alike
};

/// Of head `head` of one layer's map [N,S,S]. "Previous" and "next" are counted where there is one.
HeadHabits habits_of(const AttentionMaps& maps, size_t layer, int64_t head);

/// A line for each head, aligned.
std::string habits_table(const AttentionMaps& maps);

/// The page: a small picture of every head, and of the chosen one lines from the tokens that look to those looked at.
/// Shares are kept in steps of 1/4095. Everything that comes from outside is escaped.
std::string attention_page(const AttentionMaps& maps, const std::string& title);

}  // namespace cloze
