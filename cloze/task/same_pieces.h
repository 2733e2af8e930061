// Whether two tokenizers give the same ids, so that what one model says of them can be held against another's.
#pragma once

#include "cloze/text/tokenizer.h"

namespace cloze {

/// The same pieces under the same ids, and both keep upper case or neither.
bool same_pieces(const Tokenizer& a, const Tokenizer& b);

}  // namespace cloze
