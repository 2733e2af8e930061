// Words that a vocabulary splits, to be added to it as entries of their own.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cloze/text/tokenizer.h"
#include "cloze/text/word_counter.h"

namespace cloze {

struct NewWord {
  std::string word;             ///< as the normalizer leaves it
  std::vector<int32_t> pieces;  ///< what stood for it so far; [UNK] alone for a word that could not be written
};

struct NewWords {
  std::vector<NewWord> words;
  int64_t known = 0;     ///< were entries already
  int64_t repeated = 0;  ///< stood in the list before
  int64_t unknown = 0;   ///< of `words`, those that were [UNK]
};

/// A word a line, in the list's order; blank lines count for nothing. Errors: kNotFound, kIo; kFormat, with the line,
/// for invalid UTF-8 and for what the tokenizer never sees as one word: spaces or punctuation in it, several Chinese
/// characters, too long.
NewWords read_new_words(const Tokenizer& tokenizer, const Path& file);

/// The `count` most frequent words of several pieces or none; of equal ones by their bytes. `corpus` must come from
/// count_words with the tokenizer's normalizer.
NewWords frequent_split_words(const Tokenizer& tokenizer, const CorpusCounts& corpus, int64_t count);

/// The tokenizer with the words at the end of its vocabulary. Errors: kUnsupported where added tokens stand behind the
/// vocabulary, on the ids that the new entries would take.
Tokenizer extend_tokenizer(const Tokenizer& tokenizer, std::span<const NewWord> words);

}  // namespace cloze
