// Corpus to tokens on all threads: what TokenCache writes.
#pragma once

#include <functional>
#include <span>

#include "cloze/data/token_cache.h"

namespace cloze {

/// Reads the corpus and gives its tokens with their flags in order, a run at a time. Sentences without a token are
/// nothing, and so are documents. Errors: as CorpusReader.
TokenCacheCounts tokenize_corpus(const Path& corpus, const Tokenizer& tokenizer, const TokenCacheOptions& options,
                                 const CacheProgress& progress,
                                 const std::function<void(std::span<const uint32_t>)>& write);

}  // namespace cloze
