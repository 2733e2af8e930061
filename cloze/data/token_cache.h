// A corpus as tokens in a file: written once, mapped ever after.
//
// The file: tokens, 4 bytes each (little endian), in the order of the text; then a footer of kFooterBytes: magic,
// version, the counts, CRC-32 of the tokens, the key, CRC-32 of the footer. A token is its id and three flags.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cloze/base/file.h"
#include "cloze/data/corpus.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

/// How a token lies in the cache.
struct CachedToken {
  static constexpr uint32_t kBeginsWord = 1u << 31;
  static constexpr uint32_t kEndsSentence = 1u << 30;
  static constexpr uint32_t kEndsDocument = 1u << 29;
  static constexpr uint32_t kId = kEndsDocument - 1;
};

struct TokenCacheOptions {
  DocumentForm form = DocumentForm::kBlankLine;
  /// Chinese words of several characters begin a word once, by ICU's dictionary; else each character does.
  bool chinese_words = true;
};

struct TokenCacheCounts {
  int64_t tokens = 0, sentences = 0, documents = 0;
  int64_t bytes = 0;     ///< of text
  int64_t replaced = 0;  ///< invalid UTF-8 sequences
  int64_t unknown = 0;   ///< tokens that are the vocabulary's unknown
};

/// Called now and then with the bytes of text read so far; it may throw to stop.
using CacheProgress = std::function<void(int64_t bytes)>;

class TokenCache {
 public:
  static constexpr size_t kFooterBytes = 160;

  /// The cache of `corpus` at `cache`: mapped if it is whole and was made from this file (size, time), this tokenizer
  /// and these options; else made anew, on all threads, in constant memory. Where the corpus is gone, a whole cache of
  /// this tokenizer is taken as it is. Errors: kNotFound, kIo (also a full disk); kFormat where the corpus is not text
  /// or has no token; kValue where the corpus is gone and the cache has another tokenizer or is cut short.
  static TokenCache open_or_build(const Path& corpus, const Path& cache, const Tokenizer& tokenizer,
                                  const TokenCacheOptions& options, const CacheProgress& progress = {});

  std::span<const uint32_t> tokens() const { return tokens_; }
  const TokenCacheCounts& counts() const { return counts_; }
  /// 16 hexadecimal digits of what the tokens are.
  const std::string& fingerprint() const { return fingerprint_; }
  bool was_built() const { return built_; }

 private:
  TokenCache() = default;
  std::shared_ptr<MappedFile> file_;
  std::span<const uint32_t> tokens_;
  TokenCacheCounts counts_;
  std::string fingerprint_;
  bool built_ = false;
};

}  // namespace cloze
