// Rows as the model takes them, with the way back from each token to the text.
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/task/long_texts.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

/// One row. Its pieces are numbered through both texts.
struct TracedRow {
  Encoding first, second;  ///< of the texts, without [CLS] and [SEP]; the second is empty for a single text
  std::vector<TokenSequence> sequences;
  std::vector<std::vector<int32_t>> pieces;  ///< of each sequence: the number of each token's piece; -1: none
  int64_t dropped = 0;                       ///< pieces that no sequence holds

  size_t size() const { return first.ids.size() + second.ids.size(); }
  bool in_second(size_t piece) const { return piece >= first.ids.size(); }
  /// The encoding that holds the piece, and its place there.
  const Encoding& encoding(size_t piece) const { return in_second(piece) ? second : first; }
  size_t place(size_t piece) const { return in_second(piece) ? piece - first.ids.size() : piece; }
};

TracedRow trace_row(const Tokenizer& tokenizer, const TextExample& row, const RowLimits& limits);

}  // namespace cloze
