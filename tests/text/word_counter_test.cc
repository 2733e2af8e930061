// Splitting as the tokenizer does, and counting that depends on the text alone.
#include "cloze/text/word_counter.h"

#include "cloze/base/thread_team.h"
#include "cloze/text/tokenizer.h"
#include "cloze/text/word_splitter.h"
#include "tests/base/temporary.h"
#include "tests/text/hostile_text.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::vector<std::string> words_of(std::string_view text, const NormalizerOptions& options = {}) {
  WordList list;
  EXPECT_TRUE(WordSplitter(options).append_words(text, list));
  std::vector<std::string> words;
  for (size_t i = 0; i < list.size(); ++i) words.emplace_back(list[i]);
  return words;
}

std::vector<std::pair<std::string, int64_t>> pairs(const CorpusCounts& counts) {
  std::vector<std::pair<std::string, int64_t>> out;
  for (const WordCount& word : counts.words) out.emplace_back(word.word, word.count);
  return out;
}

CorpusCounts count_file(const Path& file, const WordCountOptions& options = {}) {
  return count_words(std::vector<Path>{file}, options);
}

TEST(WordSplitter, LiteralWords) {
  EXPECT_THAT(words_of("H\u00E9llo, W\u00D6RLD\t[MASK]"), ElementsAre("hello", ",", "world", "[", "mask", "]"));
  EXPECT_THAT(words_of("\u7535\u5F71a\u3002"), ElementsAre("\u7535", "\u5F71", "a", "\u3002"));
  EXPECT_THAT(words_of("\u00C9t\u00E9 It's", {.lowercase = false}), ElementsAre("\u00C9t\u00E9", "It", "'", "s"));
  EXPECT_THAT(words_of(" \t "), ElementsAre());
}

TEST(WordSplitter, BrokenTextLeavesTheListAsItWas) {
  WordList list;
  const WordSplitter splitter({});
  EXPECT_TRUE(splitter.append_words("one", list));
  EXPECT_FALSE(splitter.append_words("two \xFF", list));
  EXPECT_EQ(list.bytes, "one");
  EXPECT_EQ(list.size(), 1u);
}

/// All words of the list as entries: then the tokenizer's pieces are the words, if both split alike.
void expect_same_words(std::string_view line, const NormalizerOptions& options) {
  std::vector<std::string> words = words_of(line, options), pieces = {"[UNK]", "[CLS]", "[SEP]"};
  pieces.insert(pieces.end(), words.begin(), words.end());
  TokenizerOptions tokenizer;
  tokenizer.normalizer = options;
  tokenizer.added_tokens.emplace();
  tokenizer.max_chars_per_word = 1 << 20;
  const Tokenizer whole = Tokenizer::from_vocabulary(Vocabulary(pieces), tokenizer);
  std::vector<std::string> found;
  const EncodeOptions plain = {.special_tokens = SpecialTokens::kNone, .truncation = {}};
  for (const int32_t id : whole.encode(line, plain).ids) found.emplace_back(whole.token(id));
  EXPECT_EQ(found, words) << line;
}

TEST(WordSplitter, SplitsHostileScriptsAsTheTokenizerDoes) {
  int lines = 0;
  for (const HostileBlock& block : hostile_script_blocks()) {
    const std::string text = hostile_text(block);
    for (size_t at = 0, left = 40; at < text.size() && left > 0; --left, ++lines) {
      const size_t end = text.find('\n', at);
      expect_same_words(std::string_view(text).substr(at, end - at), {});
      expect_same_words(std::string_view(text).substr(at, end - at), {.lowercase = false});
      at = end + 1;
    }
  }
  EXPECT_GT(lines, 100);
}

TEST(WordCounter, CountsPlainAndPackedFiles) {
  const test::TemporaryFolder folder;
  const Path plain = folder.write("a.txt", "Low low\nlower \u7535\u5F71\r\n");
  const Path packed = folder.write_gzip("b.txt.gz", "low,");
  const CorpusCounts counts = count_words(std::vector<Path>{plain, packed});
  EXPECT_THAT(pairs(counts),
              ElementsAre(Pair(",", 1), Pair("low", 3), Pair("lower", 1), Pair("\u5F71", 1), Pair("\u7535", 1)));
  EXPECT_EQ(counts.bytes, 26);
  EXPECT_EQ(counts.lines, 3);
  EXPECT_EQ(counts.total_words, 7);
}

TEST(WordCounter, NothingDependsOnThreadsOrBlocks) {
  const test::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 4000; ++i) text += fmt::format("w{} {}{}", i * i % 977, i % 13, i % 7 == 0 ? "\n" : " ");
  const Path file = folder.write("a.txt", text);
  const auto expected = pairs(count_file(file));
  EXPECT_GT(expected.size(), 300u);
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    WordCountOptions options;
    for (const size_t block : {1, 100, 4096}) {
      options.block_bytes = block;
      EXPECT_EQ(pairs(count_file(file, options)), expected) << threads << " threads, " << block;
    }
  }
  set_thread_count(0);
}

/// The first block is the first line, with more distinct words than four.
CorpusCounts count_forgetting(const Path& file, std::string_view first_line) {
  WordCountOptions options;
  options.block_bytes = first_line.size();
  options.most_words = 4;
  return count_file(file, options);
}

// Without the words that were seen once there are two, no more than three quarters of four.
TEST(WordCounter, ForgetsTheRarestWordsWhenThereAreTooMany) {
  const test::TemporaryFolder folder;
  const std::string line = "a a a b b c d e\n";
  const Path file = folder.write("a.txt", line + "a b\n");
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    const CorpusCounts counts = count_forgetting(file, line);
    EXPECT_THAT(pairs(counts), ElementsAre(Pair("a", 4), Pair("b", 3)));
    EXPECT_EQ(counts.forgotten_words, 3);
    EXPECT_EQ(counts.forgotten_floor, 1);
    EXPECT_EQ(counts.total_words, 10);
  }
  set_thread_count(0);
}

TEST(WordCounter, ForgetsMoreUntilThereIsRoom) {
  const test::TemporaryFolder folder;
  const std::string line = "a a a b b c c d d e e\n";
  const CorpusCounts counts = count_forgetting(folder.write("a.txt", line + "b\n"), line);
  EXPECT_THAT(pairs(counts), ElementsAre(Pair("a", 3), Pair("b", 1)));
  EXPECT_EQ(counts.forgotten_words, 8);
  EXPECT_EQ(counts.forgotten_floor, 2);
}

TEST(WordCounter, LongWordsAndBrokenUtf8AreCountedApart) {
  const test::TemporaryFolder folder;
  WordCountOptions options;
  options.max_chars_per_word = 3;
  const CorpusCounts counts = count_file(folder.write("a.txt",
                                                      "abc abcd a\xFF"
                                                      "b \u00D8\u00D8\u00D8"),
                                         options);
  EXPECT_THAT(pairs(counts), ElementsAre(Pair("ab", 1), Pair("abc", 1), Pair("\u00F8\u00F8\u00F8", 1)));
  EXPECT_EQ(counts.long_words, 1);
  EXPECT_EQ(counts.replaced_sequences, 1);
}

TEST(WordCounter, WhatIsNoTextIsRefused) {
  const test::TemporaryFolder folder;
  const Path utf16 = folder.write("utf16.txt", std::string_view("h\0i\0", 4));
  std::string gbk;
  for (int i = 0; i < 20; ++i) gbk += "\xB5\xE7\xD3\xB0 ";
  EXPECT_THAT(test::error_of([&] { count_file(utf16); }), HasSubstr("utf16.txt is not text: byte 1 is NUL"));
  EXPECT_THAT(test::error_of([&] { count_file(folder.write("gbk.txt", gbk)); }), HasSubstr("is not UTF-8 text"));
  EXPECT_THAT(test::error_of([&] { count_file(folder.path() / "none.txt"); }), HasSubstr("cannot open"));
}

}  // namespace
}  // namespace cloze
