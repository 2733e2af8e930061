// Token caches whose corpus is gone: a file is refused, or its tokens are of the vocabulary and rows can be made of
// them. First byte even: the rest is the file. Odd: the rest is the tokens, behind which a footer is set that fits
// them; with the second bit, the counts and the vocabulary's size in it come from the input too.
#include <zlib.h>

#include <cstring>

#include "cloze/data/masking.h"
#include "cloze/data/pretraining_rows.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

constexpr size_t kFooter = TokenCache::kFooterBytes;

Tokenizer make_tokenizer() {
  std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]"};
  for (int i = 0; i < 250; ++i) pieces.push_back(fmt::format("{}w{}", i % 4 == 0 ? "##" : "", i));
  return Tokenizer::from_vocabulary(Vocabulary(pieces));
}

/// The footer of a good cache, with right hashes.
std::string good_footer(const Tokenizer& tokenizer) {
  const MemoryFolder folder;
  write_file(folder.path() / "corpus", "w1 w2 w3");
  TokenCache::open_or_build(folder.path() / "corpus", folder.path() / "cache", tokenizer, {});
  const std::string bytes = read_file(folder.path() / "cache");
  return bytes.substr(bytes.size() - kFooter);
}

uint64_t crc(std::string_view bytes) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

std::string file_of(Input input, std::string footer) {
  const unsigned kind = input.byte();
  if (kind % 2 == 0) return std::string(input.rest());
  std::string_view rest = input.rest();
  const auto put = [&](size_t at, uint64_t value) { std::memcpy(footer.data() + at, &value, sizeof value); };
  // The six counts stand behind magic and version; the vocabulary's size at 96.
  constexpr size_t kCounts = 16, kCountBytes = 48, kTokensCrc = 64, kVocabulary = 96;
  if ((kind & 2) != 0 && rest.size() >= kCountBytes + 8) {
    std::memcpy(footer.data() + kCounts, rest.data(), kCountBytes);
    std::memcpy(footer.data() + kVocabulary, rest.data() + kCountBytes, 8);
    rest.remove_prefix(kCountBytes + 8);
  }
  std::string file(rest);
  uint64_t documents = 0;
  for (size_t i = 3; i < file.size(); i += 4) documents += (static_cast<unsigned char>(file[i]) & 0x20u) != 0 ? 1 : 0;
  put(kCounts, file.size() / 4);
  if ((kind & 2) == 0) put(kCounts + 16, documents);
  put(kTokensCrc, crc(file));
  put(kFooter - 8, crc(std::string_view(footer).substr(0, kFooter - 8)));
  return file + footer;
}

void check_rows(const std::shared_ptr<const TokenCache>& cache, const Tokenizer& tokenizer, const Masker& masker,
                const PretrainingRowOptions& options) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  error_of([&] {
    const PretrainingRows rows({{"cache", cache}}, vocabulary.cls_id(), vocabulary.sep_id(), options);
    for (int64_t number = 0; number < 8 + rows.heldout_rows(); ++number) {
      PretrainingRow row = number < 8 ? rows.row(number) : rows.heldout_row(number - 8);
      FUZZ_CHECK(static_cast<int64_t>(row.ids.size()) <= options.max_length, "{} tokens", row.ids.size());
      FUZZ_CHECK(row.segments.size() == row.ids.size() && row.begins_word.size() == row.ids.size(), "lengths");
      Rng random(static_cast<uint64_t>(number), RandomStream::kMask);
      std::vector<int32_t> positions, targets;
      masker.mask(row.ids, row.begins_word, random, positions, targets);
      FUZZ_CHECK(std::is_sorted(positions.begin(), positions.end()), "positions");
      for (const int32_t id : row.ids) FUZZ_CHECK(id >= 0 && id < tokenizer.size(), "id {}", id);
      for (const int32_t id : targets) FUZZ_CHECK(masker.maskable(id), "id {}", id);
    }
  });
}

void run(const Input& input) {
  static const MemoryFile memory;
  static const Tokenizer tokenizer = make_tokenizer();
  static const Masker masker(tokenizer, {});
  static const std::string footer = good_footer(tokenizer);
  memory.write(file_of(input, footer));
  std::shared_ptr<const TokenCache> cache;
  const std::string error = error_of([&] {
    cache =
        std::make_shared<const TokenCache>(TokenCache::open_or_build("/dev/shm/none", memory.path(), tokenizer, {}));
  });
  if (!cache) {
    FUZZ_CHECK(error.starts_with("value: "), "{}", error);
    return;
  }
  FUZZ_CHECK(!cache->was_built() && !cache->tokens().empty(), "no tokens");
  FUZZ_CHECK((cache->tokens().back() & CachedToken::kEndsDocument) != 0, "an open document");
  for (const uint32_t token : cache->tokens())
    FUZZ_CHECK((token & CachedToken::kId) < tokenizer.size(), "id {}", token & CachedToken::kId);
  for (const SentenceObjective objective :
       {SentenceObjective::kNone, SentenceObjective::kNext, SentenceObjective::kOrder})
    check_rows(cache, tokenizer, masker, {.max_length = 12, .objective = objective, .heldout_share = 0.2});
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({data, size});
  return 0;
}
