// Pieces that a language or a domain never needs, taken out of vocabulary and embeddings.
#pragma once

#include <span>
#include <vector>

#include "cloze/io/safetensors.h"
#include "cloze/text/tokenizer.h"
#include "cloze/text/word_counter.h"

namespace cloze {

/// The ids to keep, in rising order: those that the texts' words are written with at least `least` times, special and
/// added tokens, and single ASCII characters, so that every ASCII word can still be written. WordPiece takes the
/// longest piece that fits, so a text that needs kept pieces only is split as before. `counts` must come from
/// count_words with the tokenizer's normalizer. Errors: kUnsupported where added tokens stand behind the vocabulary.
std::vector<int32_t> needed_pieces(const Tokenizer& tokenizer, const CorpusCounts& counts, int64_t least);

/// The tokenizer with these pieces alone: what was keep[i] is i.
Tokenizer prune_vocabulary(const Tokenizer& tokenizer, std::span<const int32_t> keep);

/// The rows of word embeddings and of the decoder's bias, in place. Errors: kShape for a table shorter than the ids.
void prune_rows(std::vector<NamedTensor>& tensors, std::span<const int32_t> keep);

}  // namespace cloze
