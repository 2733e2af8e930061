// Added tokens: strings such as "[MASK]" that are found in the text before any other step and become one id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/text/double_array.h"

namespace cloze {

/// One entry of "added_tokens" in tokenizer.json; the field names are that file's.
struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool special = true;       ///< of no meaning to encoding; kept for the file
  bool normalized = false;   ///< match in the normalized text, by the normalized content
  bool single_word = false;  ///< only where no word character (\w) touches it
  bool lstrip = false;       ///< takes the whitespace before it along
  bool rstrip = false;       ///< takes the whitespace after it along
  bool operator==(const AddedToken&) const = default;
};

/// Finds the tokens of one list, leftmost first, at one place the longest.
class AddedTokenMatcher {
 public:
  /// A part of the text: an added token, or (token == nullptr) what stands between two of them, never empty.
  struct Part {
    size_t begin, end;  ///< bytes
    const AddedToken* token;
  };

  /// `patterns[i]` is what tokens[i] looks like in the text; empty patterns match nothing. Of equal patterns the first
  /// counts.
  AddedTokenMatcher(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns);

  bool empty() const { return tokens_.empty(); }
  /// Calls visit(part) for the parts of `text` in order.
  template <class Visit>
  void split(std::string_view text, Visit&& visit) const {
    Part match{0, 0, nullptr};
    size_t done = 0, from = 0;
    while (find(text, from, done, match, from)) {
      if (done < match.begin) visit(Part{done, match.begin, nullptr});
      visit(match);
      done = match.end;
    }
    if (done < text.size()) visit(Part{done, text.size(), nullptr});
  }

 private:
  bool find(std::string_view text, size_t from, size_t done, Part& match, size_t& resume) const;
  int32_t longest_at(std::string_view text, size_t at, size_t& end) const;
  bool accept(const AddedToken& token, std::string_view text, size_t done, Part& match) const;

  std::vector<AddedToken> tokens_;
  DoubleArray trie_;
  uint32_t root_;
  std::vector<int32_t> token_at_;  ///< by trie node; -1 where no pattern ends
  std::vector<uint8_t> starts_;    ///< by byte: whether a pattern begins so
  int only_start_ = -1;            ///< the byte, if all patterns begin with the same one
};

}  // namespace cloze
