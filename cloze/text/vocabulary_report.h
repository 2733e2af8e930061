// How well a vocabulary writes a text: unknown words, pieces a word, entries that are never used.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cloze/text/tokenizer.h"
#include "cloze/text/word_counter.h"

namespace cloze {

/// Occurrences in the text.
struct CoverageCounts {
  int64_t words = 0, characters = 0, pieces = 0;
  int64_t unknown_words = 0, unknown_characters = 0;  ///< words that become [UNK], and the characters in them

  double unknown_word_rate() const { return ratio(unknown_words, words); }
  double unknown_character_rate() const { return ratio(unknown_characters, characters); }
  double pieces_per_word() const { return ratio(pieces, words); }
  double pieces_per_character() const { return ratio(pieces, characters); }
  void add(const CoverageCounts& other);

 private:
  static double ratio(int64_t a, int64_t b) { return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b); }
};

struct VocabularyReport {
  CoverageCounts chinese, other, all;                    ///< `chinese`: words that begin with a Chinese character
  std::vector<std::pair<std::string, int64_t>> unknown;  ///< most frequent first; of equal ones by their bytes
  int64_t distinct_unknown = 0;
  int64_t entries = 0;     ///< that a text can use: not the special tokens, [unused0] and its like, holes
  int64_t never_used = 0;  ///< of them
};

/// `counts` must come from count_words with the tokenizer's normalizer and max_chars_per_word. Words that were too long
/// are unknown words among `other`; their characters were not counted. `most_unknown` limits VocabularyReport::unknown.
VocabularyReport report_vocabulary(const Tokenizer& tokenizer, const CorpusCounts& counts, size_t most_unknown = 20);

}  // namespace cloze
