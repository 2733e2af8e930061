// WordPieces: words as WordSplitter and count_words give them, to pieces. No clean-up, no added tokens.
#pragma once

#include <string_view>
#include <vector>

#include "cloze/text/tokenizer.h"

namespace cloze {

class WordPieces {
 public:
  explicit WordPieces(const Tokenizer& tokenizer) : words_(plain(tokenizer)) {}

  /// The ids of one word, valid until the next call: [UNK] alone if the vocabulary cannot write it.
  const std::vector<int32_t>& of(std::string_view word) {
    ids_.clear();
    words_.encode_ids(word, ids_, {.special_tokens = SpecialTokens::kNone, .truncation = {}});
    return ids_;
  }
  bool is_unknown(const std::vector<int32_t>& ids) const {
    return ids.size() == 1 && ids[0] == words_.vocabulary().unk_id();
  }

 private:
  /// The words are normalized: doing so a second time would change a few (U+0130 becomes i and a dot, which goes).
  static Tokenizer plain(const Tokenizer& tokenizer) {
    TokenizerOptions options = tokenizer.options();
    options.normalizer = {
        .clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false};
    options.added_tokens.emplace();
    return Tokenizer::from_vocabulary(tokenizer.vocabulary(), std::move(options));
  }

  Tokenizer words_;
  std::vector<int32_t> ids_;
};

}  // namespace cloze
