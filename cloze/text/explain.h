// explain_tokenization: every step from a text to its ids, in words, for people (`cloze tokenize --explain`).
#pragma once

#include <string>
#include <string_view>

#include "cloze/text/tokenizer.h"

namespace cloze {

/// Several aligned lines with a line end each: the text, what the normalizer changed and why, the words, their pieces
/// and ids. Long texts give long answers: it is meant for a sentence or two. Errors: those of Tokenizer::encode.
std::string explain_tokenization(const Tokenizer& tokenizer, std::string_view text);

}  // namespace cloze
