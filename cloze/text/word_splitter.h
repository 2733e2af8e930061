// WordSplitter: a text to its words, normalized, as the tokenizer sees them before WordPiece. For counting corpora.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/text/char_map.h"

namespace cloze {

/// Words one after another.
struct WordList {
  std::string bytes;
  std::vector<size_t> ends;  ///< word i ends at byte ends[i]

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }
  void clear() {
    bytes.clear();
    ends.clear();
  }
};

class WordSplitter {
 public:
  explicit WordSplitter(const NormalizerOptions& options);

  /// Appends the words of `text`. Special tokens ("[MASK]") are text like any other here. False, with `out` as it was,
  /// if the text is not valid UTF-8.
  bool append_words(std::string_view text, WordList& out) const;

 private:
  enum class Outcome { kDone, kInvalid, kNeedsExact };
  Outcome split_fast(std::string_view text, WordList& out) const;
  Outcome split_exact(std::string_view text, WordList& out) const;
  Outcome put_character(char32_t c, std::string_view bytes, WordList& out) const;

  struct AsciiAction {
    CharKind kind;  ///< kComplex also marks the bytes that are not ASCII
    char byte;
  };

  NormalizerOptions normalizer_;
  CharMap chars_;
  std::array<AsciiAction, 256> ascii_;
};

}  // namespace cloze
