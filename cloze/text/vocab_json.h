// JSON with one huge object in it: the vocabulary of tokenizer.json. Json objects keep their order in a list, where a
// look-up is a search; a vocabulary of 100,000 members would take minutes. So this reader gives it apart.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloze/base/json.h"

namespace cloze {

struct VocabJson {
  Json rest;  ///< the whole document, but with model.vocab left out
  std::vector<std::pair<std::string, int64_t>> vocab;
  bool has_vocab = false;  ///< model.vocab was there and an object
};

/// Errors: kFormat for broken JSON, nesting deeper than 64, a vocabulary member that is not an integer.
VocabJson parse_vocab_json(std::string_view text, std::string_view where);

}  // namespace cloze
