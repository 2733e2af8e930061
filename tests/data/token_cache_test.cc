// Token caches: what the tokens and their flags are, when a cache is made anew, and damage.
#include "cloze/data/token_cache.h"

#include <sys/resource.h>
#include <zlib.h>

#include <csignal>
#include <cstring>

#include "cloze/base/thread_team.h"
#include "tests/data/small_corpus.h"

namespace cloze {
namespace {

using test::error_of;
using test::TemporaryFolder;
using test::tokenizer_of;
using testing::HasSubstr;

const std::vector<std::string> kEnglish = {"the", "cat", "##s", "sat", ".", "dog", "!", "a"};
const std::vector<std::string> kChinese = {"我", "爱", "北", "京", "天", "安", "门", "。", "a", "##b"};

/// "5w 7 9ws 6wsd": ids with w where a word begins, s and d where a sentence and a document end.
std::string shown(std::span<const uint32_t> tokens) {
  std::string all;
  for (const uint32_t token : tokens) {
    all += fmt::format("{}{}{}{}{}", all.empty() ? "" : " ", token & CachedToken::kId,
                       (token & CachedToken::kBeginsWord) != 0 ? "w" : "",
                       (token & CachedToken::kEndsSentence) != 0 ? "s" : "",
                       (token & CachedToken::kEndsDocument) != 0 ? "d" : "");
  }
  return all;
}

class TokenCacheTest : public testing::Test {
 protected:
  TokenCache open(const TokenCacheOptions& options = {}) const { return open_with(english, options); }
  TokenCache open_with(const Tokenizer& tokenizer, const TokenCacheOptions& options = {}) const {
    return TokenCache::open_or_build(corpus, cache, tokenizer, options);
  }
  void write(std::string_view text) const { folder.write("corpus.txt", text); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

  TemporaryFolder folder;
  Path corpus = folder.path() / "corpus.txt", cache = folder.path() / "corpus.tokens";
  Tokenizer english = tokenizer_of(kEnglish);
};

TEST_F(TokenCacheTest, EnglishTokensAndFlags) {
  const std::string text = "The cats sat. The dog barked!\nA dog\n\nCat\n";
  write(text);
  const TokenCache built = open();
  EXPECT_EQ(shown(built.tokens()), "5w 6w 7 8w 9ws 5w 10w 1w 11ws 12w 10wsd 6wsd");
  EXPECT_TRUE(built.was_built());
  EXPECT_EQ(built.counts().tokens, 12);
  EXPECT_EQ(built.counts().sentences, 4);
  EXPECT_EQ(built.counts().documents, 2);
  EXPECT_EQ(built.counts().bytes, static_cast<int64_t>(text.size()));
  EXPECT_EQ(built.counts().replaced, 0);
  EXPECT_EQ(built.counts().unknown, 1);
  EXPECT_THAT(built.fingerprint(), testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(read_file(cache).size(), 12 * 4 + TokenCache::kFooterBytes);
  const TokenCache lines = open({.form = DocumentForm::kLine});
  EXPECT_EQ(shown(lines.tokens()), "5w 6w 7 8w 9ws 5w 10w 1w 11wsd 12w 10wsd 6wsd");
  EXPECT_EQ(lines.counts().documents, 3);
}

TEST_F(TokenCacheTest, SentencesAndDocumentsWithoutTokensAreNothing) {
  // U+200B and U+FEFF are white to the tokenizer's eye, not to the reader's.
  write("cat\n\u200B\n\n\uFEFF\n\ndog\n\u200B");
  const TokenCache built = open();
  EXPECT_EQ(shown(built.tokens()), "6wsd 10wsd");
  EXPECT_EQ(built.counts().documents, 2);
  EXPECT_EQ(built.counts().sentences, 2);
}

TEST_F(TokenCacheTest, ChineseWords) {
  const Tokenizer chinese = tokenizer_of(kChinese);
  write("我爱北京天安门。北京ab门\n");
  EXPECT_EQ(shown(open_with(chinese).tokens()), "5w 6w 7w 8 9w 10 11 12ws 7w 8 13w 14 11wsd");
  EXPECT_EQ(shown(open_with(chinese, {.chinese_words = false}).tokens()),
            "5w 6w 7w 8w 9w 10w 11w 12ws 7w 8w 13w 14 11wsd");
}

TEST_F(TokenCacheTest, LargeDocumentsAreOneDocument) {
  std::string line;
  while (line.size() < CorpusReader::kPartBytes) line += std::string(95, 'x') + " cat ";
  write(line + "\n\ndog\n" + line + "\ndog\n");
  const TokenCache built = open();
  EXPECT_EQ(built.counts().documents, 2);
  EXPECT_EQ(built.counts().sentences, 4);
  const auto tokens = built.tokens();
  const size_t words = tokens.size() / 2 - 1;
  EXPECT_EQ(shown(tokens.subspan(words - 1, 3)), "6wsd 10ws 1w");
  EXPECT_EQ(shown(tokens.last(2)), "6ws 10wsd");
}

TEST_F(TokenCacheTest, SameBytesWithAnyNumberOfThreads) {
  std::string text;
  for (int i = 0; i < 60000; ++i) {
    text += i % 3 == 0 ? "The cats sat." : i % 3 == 1 ? "北京 a dog!" : "the A cat";
    text += i % 7 == 0 ? "\n\n" : "\n";
  }
  // Several batches: each thread's is 4 MiB.
  write("\xFF\n" + text + std::string(size_t{5} << 20, 'y') + "\n" + text + std::string(size_t{5} << 20, '!') + text);
  std::string expected;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    std::filesystem::remove(cache);
    EXPECT_TRUE(open().was_built());
    const std::string bytes = read_file(cache);
    if (expected.empty()) expected = bytes;
    EXPECT_TRUE(bytes == expected) << threads;
  }
  set_thread_count(0);
}

TEST_F(TokenCacheTest, MadeAnewWhenAnythingChanges) {
  write("The cat.\n");
  EXPECT_TRUE(open().was_built());
  const std::string first = open().fingerprint();
  EXPECT_FALSE(open().was_built());
  write("The cat sat.\n");
  const TokenCache larger = open();
  EXPECT_TRUE(larger.was_built()) << "another size";
  EXPECT_NE(larger.fingerprint(), first);
  EXPECT_FALSE(open().was_built());
  write("The dog sat.\n");
  std::filesystem::last_write_time(corpus, std::filesystem::last_write_time(corpus) + std::chrono::seconds(1));
  EXPECT_TRUE(open().was_built()) << "another time";
  EXPECT_EQ(shown(open().tokens()), "5w 10w 8w 9wsd");
  EXPECT_TRUE(open({.form = DocumentForm::kLine}).was_built());
  EXPECT_TRUE(open({.chinese_words = false}).was_built());
  EXPECT_TRUE(open().was_built());
  std::vector<std::string> words = kEnglish;
  words.push_back("more");
  EXPECT_TRUE(open_with(tokenizer_of(words)).was_built());
  EXPECT_EQ(shown(open_with(tokenizer_of({"sat"})).tokens()), "1w 1w 5w 1wsd");
  EXPECT_FALSE(open_with(tokenizer_of({"sat"})).was_built());
  const Vocabulary& vocabulary = english.vocabulary();
  const Tokenizer cased = Tokenizer::from_vocabulary(vocabulary, {.normalizer = {.lowercase = false}});
  EXPECT_TRUE(open().was_built());
  EXPECT_EQ(shown(open_with(cased).tokens()), "1w 10w 8w 9wsd");
}

/// `edit` changes a good cache; open() must see it, and say `why` where the corpus is gone.
struct Damage {
  std::string why;
  std::function<void(std::string&)> edit;
};

void fix_checksums(std::string& bytes) {
  const size_t footer = bytes.size() - TokenCache::kFooterBytes;
  const auto crc = [&](size_t begin, size_t count) {
    return uint64_t{crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data() + begin), count)};
  };
  // magic, version and six counts stand before the tokens' checksum.
  const uint64_t tokens = crc(0, footer);
  std::memcpy(bytes.data() + footer + 64, &tokens, 8);
  const uint64_t all = crc(footer, TokenCache::kFooterBytes - 8);
  std::memcpy(bytes.data() + bytes.size() - 8, &all, 8);
}

std::vector<Damage> damages() {
  const auto put32 = [](std::string& b, size_t at, uint32_t value) { std::memcpy(b.data() + at, &value, 4); };
  const auto put64 = [](std::string& b, size_t back, uint64_t value) {
    std::memcpy(b.data() + b.size() - TokenCache::kFooterBytes + back, &value, 8);
  };
  constexpr uint32_t kFlags = CachedToken::kEndsDocument | CachedToken::kEndsSentence;
  return {
      {"it is cut short, or no token cache", [](std::string& b) { b.pop_back(); }},
      {"it is too short", [](std::string& b) { b.clear(); }},
      {"it is too short", [](std::string& b) { b = "text\n"; }},
      {"it is cut short, or no token cache", [](std::string& b) { b[b.size() - TokenCache::kFooterBytes] ^= 1; }},
      {"its tokens are damaged", [](std::string& b) { b[4] ^= 1; }},
      {"its footer is damaged", [](std::string& b) { b[b.size() - 100] ^= 1; }},
      {"its footer is damaged", [](std::string& b) { b.back() ^= 1; }},
      {"it should hold 4 tokens, but has 12 bytes of them", [](std::string& b) { b.erase(0, 4); }},
      {"it should hold 4 tokens, but has 18 bytes of them", [](std::string& b) { b.insert(0, 2, 'x'); }},
      {"it has version 2, not 1", [=](std::string& b) { put64(b, 8, 2), fix_checksums(b); }},
      {"it holds id 13 of 13", [=](std::string& b) { put32(b, 0, 13), fix_checksums(b); }},
      // A footer that is wrong about the vocabulary too.
      {"it holds id 99 of 13", [=](std::string& b) { put32(b, 0, 99), put64(b, 96, 100), fix_checksums(b); }},
      {"its last document has no end", [=](std::string& b) { put32(b, 12, 9), fix_checksums(b); }},
      {"it should hold 2 documents, but has 3", [=](std::string& b) { put32(b, 0, 5 | kFlags), fix_checksums(b); }},
      {"it should hold -1 documents, but has 2", [=](std::string& b) { put64(b, 32, ~uint64_t{0}), fix_checksums(b); }},
  };
}

TEST_F(TokenCacheTest, DamageIsSeen) {
  const std::string text = "The cat.\n\nDog\n";
  write(text);
  EXPECT_EQ(shown(open().tokens()), "5w 6w 9wsd 10wsd");
  const std::string good = read_file(cache);
  for (const Damage& damage : damages()) {
    std::string bytes = good;
    damage.edit(bytes);
    write_file(cache, bytes);
    EXPECT_TRUE(open().was_built()) << damage.why;
    const std::string again = read_file(cache);
    EXPECT_EQ(again, good) << damage.why;
    write_file(cache, bytes);
    std::filesystem::rename(corpus, folder.path() / "away");
    EXPECT_THAT(error_of([&] { open(); }),
                HasSubstr(fmt::format("value: {} is not there, and its token cache {} cannot stand in for it: {}",
                                      corpus.string(), cache.string(), damage.why)));
    std::filesystem::rename(folder.path() / "away", corpus);
  }
}

TEST_F(TokenCacheTest, WithoutItsCorpus) {
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("not found: "));
  write("The cat.\n");
  const std::string fingerprint = open().fingerprint();
  std::filesystem::remove(corpus);
  const TokenCache alone = open();
  EXPECT_FALSE(alone.was_built());
  EXPECT_EQ(alone.fingerprint(), fingerprint);
  EXPECT_EQ(shown(alone.tokens()), "5w 6w 9wsd");
  EXPECT_THAT(error_of([&] { open({.chinese_words = false}); }),
              HasSubstr("it was made with another vocabulary or other options"));
  std::filesystem::remove(cache);
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("not found: "));
}

TEST_F(TokenCacheTest, NothingToTokenize) {
  for (const std::string text : {"", "\n \n\t\r\n", "\u200B\n"}) {
    write(text);
    EXPECT_EQ(error_of([&] { open(); }), "format: " + corpus.string() + ": there is no text in it");
    EXPECT_EQ(files(), std::vector<std::string>{"corpus.txt"});
  }
  write(std::string("a\0b", 3));
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("format: "));
  EXPECT_EQ(files(), std::vector<std::string>{"corpus.txt"});
  EXPECT_THAT(error_of([&] { TokenCache::open_or_build("-", cache, english, {}); }), HasSubstr("usage: "));
}

TEST_F(TokenCacheTest, FullDiskAndBadPlaces) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "The cat sat.\n";
  write(text);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 65536, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of([&] { open(); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(error, HasSubstr("io: cannot write " + cache.string() + ": File too large"));
  EXPECT_EQ(files(), std::vector<std::string>{"corpus.txt"});

  cache = folder.path() / "none" / "c";
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("io: cannot write "));
  cache = folder.path();
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("io: "));
  cache = folder.path() / std::string(300, 'n');
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("io: cannot write ")) << "a name that is too long";
  cache = folder.path() / "loop";
  std::filesystem::create_symlink("loop", cache);
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("io: ")) << "a link to itself";
}

TEST_F(TokenCacheTest, ProgressMayStop) {
  set_thread_count(1);
  std::string text;
  while (text.size() < size_t{9} << 20) text += std::string(99, 'x') + "\n\n";
  write(text);
  std::vector<int64_t> seen;
  TokenCache::open_or_build(corpus, cache, english, {}, [&](int64_t bytes) { seen.push_back(bytes); });
  ASSERT_GE(seen.size(), 2u);
  EXPECT_LT(seen[0], seen[1]);
  std::filesystem::remove(cache);
  EXPECT_EQ(error_of([&] {
              TokenCache::open_or_build(corpus, cache, english, {}, [](int64_t) { fail(ErrorCode::kValue, "stop"); });
            }),
            "value: stop");
  EXPECT_EQ(files(), std::vector<std::string>{"corpus.txt"});
  set_thread_count(0);
}

}  // namespace
}  // namespace cloze
