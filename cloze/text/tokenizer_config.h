// tokenizer_config.json: what stands beside vocab.txt or tokenizer.json.
#pragma once

#include <optional>
#include <string_view>

#include "cloze/text/tokenizer.h"

namespace cloze {

/// Members that were there; the others are absent.
struct TokenizerConfig {
  std::optional<bool> lowercase, strip_accents, handle_chinese_chars;
  std::optional<std::string> pad, unk, cls, sep, mask;
  std::optional<int64_t> model_max_length;
  std::vector<AddedToken> added_tokens;  ///< "added_tokens_decoder"
};

/// Errors: kFormat; kUnsupported for do_basic_tokenize false, and for never_split with words that are not special
/// tokens (the fast tokenizers, which Cloze equals, do not know it).
TokenizerConfig parse_tokenizer_config(std::string_view text, std::string_view where);

std::string write_tokenizer_config(const Tokenizer& tokenizer);

}  // namespace cloze
