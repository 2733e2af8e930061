// The tokenizer as an executable specification: plain, slow, one step after another, with strings for everything. It
// knows nothing of CharMap, tries and sinks; it shares with the library only the properties of single characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/normalizer.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

/// Greedy longest match first, trying every length.
inline std::vector<int32_t> naive_pieces(const std::u32string& word, const Vocabulary& vocabulary,
                                         const TokenizerOptions& options) {
  const std::vector<int32_t> unknown = {vocabulary.unk_id()};
  if (static_cast<int64_t>(word.size()) > options.max_chars_per_word) return unknown;
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    for (; end > begin; --end) {
      std::string piece = begin == 0 ? "" : options.continuing_prefix;
      for (size_t i = begin; i < end; ++i) append_utf8(piece, word[i]);
      if (const auto id = vocabulary.id(piece)) {
        ids.push_back(*id);
        break;
      }
    }
    if (end == begin) return unknown;
    begin = end;
  }
  return ids;
}

/// Words of normalized text: whitespace parts them, punctuation stands alone.
inline std::vector<std::u32string> naive_words(const std::vector<NormalizedChar>& text) {
  std::vector<std::u32string> words(1);
  for (const NormalizedChar& c : text) {
    const bool space = is_text_whitespace(c.code_point), alone = is_text_punctuation(c.code_point);
    if (space || alone) words.emplace_back();
    if (!space) words.back() += c.code_point;
    if (alone) words.emplace_back();
  }
  std::erase_if(words, [](const std::u32string& word) { return word.empty(); });
  return words;
}

/// Ids of valid UTF-8 without added tokens in it.
inline std::vector<int32_t> naive_encode(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<NormalizedChar> chars;
  decode_text(text, 0, 0, chars);
  normalize(chars, tokenizer.options().normalizer);
  std::vector<int32_t> ids = {tokenizer.vocabulary().cls_id()};
  for (const std::u32string& word : naive_words(chars))
    for (const int32_t id : naive_pieces(word, tokenizer.vocabulary(), tokenizer.options())) ids.push_back(id);
  ids.push_back(tokenizer.vocabulary().sep_id());
  return ids;
}

}  // namespace cloze
