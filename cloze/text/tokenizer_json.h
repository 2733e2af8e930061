// tokenizer.json, the one file in which Hugging Face keeps a whole tokenizer: reading and writing what of it is BERT's.
#pragma once

#include <string>
#include <string_view>

#include "cloze/text/tokenizer.h"

namespace cloze {

/// What a tokenizer.json says, checked to be a BERT tokenizer.
struct TokenizerJson {
  std::vector<std::string> pieces;  ///< by id; holes are empty
  SpecialTokenNames names;          ///< unk from the model, cls and sep from the post-processor, pad from the padding
  TokenizerOptions options;
};

/// `where` names the file in messages. Errors: kFormat for broken JSON or missing parts, kUnsupported for parts that
/// are not BERT's.
TokenizerJson parse_tokenizer_json(std::string_view text, std::string_view where);

/// The text of the file.
std::string write_tokenizer_json(const Tokenizer& tokenizer);

}  // namespace cloze
