// Counting the words of a corpus: streaming, on all threads, in bounded memory, with a result that depends on the text
// alone.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/text/char_map.h"

namespace cloze {

struct WordCountOptions {
  NormalizerOptions normalizer = {};
  int64_t max_chars_per_word = 100;       ///< the tokenizer knows no longer words; they are counted apart
  size_t most_words = 6'000'000;          ///< more distinct words than that, and the rarest are forgotten
  size_t block_bytes = size_t{16} << 20;  ///< of text that is counted between two looks at most_words
  /// Called between blocks with the bytes read so far.
  std::function<void(int64_t bytes)> progress = nullptr;
};

struct WordCount {
  std::string_view word;
  int64_t count;
};

/// Copies share the words' text.
struct CorpusCounts {
  std::vector<WordCount> words;    ///< in the order of their bytes
  int64_t bytes = 0, lines = 0;    ///< of text, unpacked
  int64_t total_words = 0;         ///< occurrences of all words, long and forgotten ones too
  int64_t long_words = 0;          ///< occurrences of words of more than max_chars_per_word characters
  int64_t forgotten_words = 0;     ///< occurrences that were forgotten, so that memory stays bounded
  int64_t forgotten_floor = 0;     ///< words that were seen at most so often were forgotten
  int64_t replaced_sequences = 0;  ///< invalid UTF-8 that became U+FFFD
  std::shared_ptr<const void> text;
};

/// The words of the files (plain, `.gz`, `-` for stdin), split and normalized as the tokenizer does. Runs on
/// thread_team(). Errors: kNotFound, kIo; kFormat for a file that is not text (NUL bytes at its beginning, or more than
/// 16 and more than one in a hundred of its bytes NUL or broken UTF-8), for a line of more than LineReader::kMostBytes,
/// for broken gzip.
CorpusCounts count_words(std::span<const Path> files, const WordCountOptions& options = {});

}  // namespace cloze
