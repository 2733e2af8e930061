#include "cloze/data/token_cache.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cstring>
#include <optional>

#include "cloze/base/error.h"
#include "cloze/data/token_cache_build.h"

namespace cloze {
namespace {

constexpr char kMagic[8] = {'C', 'L', 'Z', 'T', 'O', 'K', 'E', 'N'};
constexpr uint64_t kVersion = 1;

/// The last bytes of the file.
struct Footer {
  char magic[8];
  uint64_t version;
  TokenCacheCounts counts;
  uint64_t tokens_crc;
  uint64_t text_size, text_time;  ///< the corpus file's size in bytes and its time in nanoseconds
  uint64_t tokenizer;             ///< hash of what the tokens depend on beside the text
  uint64_t vocabulary;            ///< ids are less
  uint64_t reserved[6];
  uint64_t footer_crc;  ///< of all before it
};
static_assert(sizeof(Footer) == TokenCache::kFooterBytes);

uint64_t crc(const void* data, size_t bytes, uint64_t before = 0) {
  return crc32_z(static_cast<uLong>(before), static_cast<const Bytef*>(data), bytes);
}

uint64_t hash_text(uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;  // FNV-1a
  return (hash ^ text.size()) * 0x100000001B3u;
}

/// Of the tokenizer and the options: what makes the same text other tokens.
uint64_t hash_tokenizer(const Tokenizer& tokenizer, const TokenCacheOptions& options) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (int64_t id = 0; id < tokenizer.size(); ++id) hash = hash_text(hash, tokenizer.token(static_cast<int32_t>(id)));
  const NormalizerOptions& n = tokenizer.options().normalizer;
  hash = hash_text(
      hash, fmt::format("{} {} {} {} {} {}", n.clean_text, n.handle_chinese_chars, n.lowercase, n.strips_accents(),
                        tokenizer.options().continuing_prefix, tokenizer.options().max_chars_per_word));
  for (const AddedToken& token : tokenizer.added_tokens())
    hash = hash_text(hash, fmt::format("{} {} {} {} {} {}", token.content, token.id, token.single_word, token.lstrip,
                                       token.rstrip, token.normalized));
  return hash_text(hash, fmt::format("{} {}", static_cast<int>(options.form), options.chinese_words));
}

/// What a cache is wanted for.
struct Wanted {
  uint64_t tokenizer;   ///< hash_tokenizer
  uint64_t vocabulary;  ///< ids are less
};

/// Why the tokens are not what the footer says; empty if they are. Reads all of them once.
std::string damage_of_tokens(std::span<const uint32_t> tokens, const Footer& footer, uint64_t vocabulary) {
  if (footer.tokens_crc != crc(tokens.data(), tokens.size_bytes())) return "its tokens are damaged (checksum)";
  uint32_t largest = 0;
  int64_t documents = 0;
  for (const uint32_t token : tokens) {
    largest = std::max(largest, token & CachedToken::kId);
    documents += (token & CachedToken::kEndsDocument) != 0 ? 1 : 0;
  }
  if (largest >= vocabulary) return fmt::format("it holds id {} of {}", largest, vocabulary);
  if ((tokens.back() & CachedToken::kEndsDocument) == 0) return "its last document has no end";
  if (documents != footer.counts.documents)
    return fmt::format("it should hold {} documents, but has {}", footer.counts.documents, documents);
  return "";
}

/// Why the mapped file is not a whole cache, or not the one that is wanted; empty if it is.
std::string damage_of(std::span<const std::byte> bytes, const Wanted& wanted, Footer& footer) {
  if (bytes.size() < sizeof(Footer)) return "it is too short";
  std::memcpy(&footer, bytes.data() + bytes.size() - sizeof(Footer), sizeof(Footer));
  if (std::memcmp(footer.magic, kMagic, sizeof kMagic) != 0) return "it is cut short, or no token cache";
  if (footer.footer_crc != crc(&footer, offsetof(Footer, footer_crc))) return "its footer is damaged";
  if (footer.version != kVersion) return fmt::format("it has version {}, not {}", footer.version, kVersion);
  if (footer.tokenizer != wanted.tokenizer) return "it was made with another vocabulary or other options";
  const uint64_t count = (bytes.size() - sizeof(Footer)) / sizeof(uint32_t);
  if ((bytes.size() - sizeof(Footer)) % sizeof(uint32_t) != 0 || footer.counts.tokens != static_cast<int64_t>(count) ||
      count == 0)
    return fmt::format("it should hold {} tokens, but has {} bytes of them", footer.counts.tokens,
                       bytes.size() - sizeof(Footer));
  return damage_of_tokens({reinterpret_cast<const uint32_t*>(bytes.data()), count}, footer, wanted.vocabulary);
}

struct TextStamp {
  uint64_t size = 0, time = 0;
};

/// nullopt where the file is not there.
std::optional<TextStamp> stamp_of(const Path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return TextStamp{static_cast<uint64_t>(info.st_size), static_cast<uint64_t>(info.st_mtim.tv_sec) * 1'000'000'000u +
                                                            static_cast<uint64_t>(info.st_mtim.tv_nsec)};
}

void build(const Path& corpus, const Path& cache, const Tokenizer& tokenizer, const TokenCacheOptions& options,
           const TextStamp& stamp, const CacheProgress& progress) {
  AtomicFile file(cache);
  uint64_t tokens_crc = 0;
  Footer footer{};
  footer.counts = tokenize_corpus(corpus, tokenizer, options, progress, [&](std::span<const uint32_t> tokens) {
    tokens_crc = crc(tokens.data(), tokens.size_bytes(), tokens_crc);
    file.write(std::as_bytes(tokens));
  });
  CLOZE_CHECK(footer.counts.tokens > 0, ErrorCode::kFormat, "{}: there is no text in it", corpus.string());
  std::memcpy(footer.magic, kMagic, sizeof kMagic);
  footer.version = kVersion;
  footer.tokens_crc = tokens_crc;
  footer.text_size = stamp.size;
  footer.text_time = stamp.time;
  footer.tokenizer = hash_tokenizer(tokenizer, options);
  footer.vocabulary = static_cast<uint64_t>(tokenizer.size());
  footer.footer_crc = crc(&footer, offsetof(Footer, footer_crc));
  file.write(std::as_bytes(std::span(&footer, 1)));
  file.commit();
}

}  // namespace

TokenCache TokenCache::open_or_build(const Path& corpus, const Path& cache, const Tokenizer& tokenizer,
                                     const TokenCacheOptions& options, const CacheProgress& progress) {
  CLOZE_CHECK(corpus != "-", ErrorCode::kUsage, "a corpus must be a file: it is read again when its cache is stale");
  TokenCache result;
  const std::optional<TextStamp> stamp = stamp_of(corpus);
  const Wanted wanted{hash_tokenizer(tokenizer, options), static_cast<uint64_t>(tokenizer.size())};
  std::error_code ignored;  // a name that cannot be looked up is not there; writing it says why
  std::string why = "there is none";
  Footer footer{};
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (std::filesystem::exists(cache, ignored)) {
      result.file_ = MappedFile::open(cache);
      why = damage_of(result.file_->bytes(), wanted, footer);
      if (why.empty() && stamp && (stamp->size != footer.text_size || stamp->time != footer.text_time))
        why = "the text has changed since";
      if (why.empty()) {
        result.tokens_ = {reinterpret_cast<const uint32_t*>(result.file_->bytes().data()),
                          static_cast<size_t>(footer.counts.tokens)};
        result.counts_ = footer.counts;
        result.fingerprint_ = fmt::format("{:08x}{:08x}", footer.tokens_crc, footer.tokenizer & 0xFFFFFFFFu);
        return result;
      }
      result.file_.reset();
    }
    if (!stamp) {
      if (!std::filesystem::exists(cache, ignored)) CorpusReader(corpus, options.form);  // says that it is not there
      fail(ErrorCode::kValue, "{} is not there, and its token cache {} cannot stand in for it: {}", corpus.string(),
           cache.string(), why);
    }
    CLOZE_CHECK(attempt == 0, ErrorCode::kIo, "{}: made just now, but {}", cache.string(), why);
    build(corpus, cache, tokenizer, options, *stamp, progress);
    result.built_ = true;
  }
  return result;
}

}  // namespace cloze
