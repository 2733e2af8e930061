// What a vocabulary makes of a text, and words that are added to it.
#include "cloze/text/vocabulary_extend.h"
#include "cloze/text/vocabulary_report.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Tokenizer word_tokenizer() {
  return Tokenizer::from_vocabulary(
      Vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "##s", "\u7535", "x", "[unused0]"}));
}

CorpusCounts count_pieces_of(const Path& file, int64_t max_chars = 100) {
  WordCountOptions options;
  options.max_chars_per_word = max_chars;
  return count_words(std::vector<Path>{file}, options);
}

TEST(VocabularyReport, LiteralCounts) {
  const test::TemporaryFolder folder;
  const CorpusCounts counts = count_pieces_of(folder.write("a.txt", "Goods good \u7535\u5F71 zzz zzz y\n"));
  const VocabularyReport report = report_vocabulary(word_tokenizer(), counts, 2);
  EXPECT_EQ(report.other.words, 5);
  EXPECT_EQ(report.other.characters, 16);
  EXPECT_EQ(report.other.pieces, 6);
  EXPECT_EQ(report.other.unknown_words, 3);
  EXPECT_EQ(report.other.unknown_characters, 7);
  EXPECT_EQ(report.chinese.words, 2);
  EXPECT_EQ(report.chinese.unknown_words, 1);
  EXPECT_DOUBLE_EQ(report.chinese.unknown_word_rate(), 0.5);
  EXPECT_DOUBLE_EQ(report.all.pieces_per_word(), 8.0 / 7);
  EXPECT_THAT(report.unknown, ElementsAre(Pair("zzz", 2), Pair("y", 1)));
  EXPECT_EQ(report.distinct_unknown, 3);
  EXPECT_EQ(report.entries, 4);     // good ##s \u7535 x
  EXPECT_EQ(report.never_used, 1);  // x
}

TEST(VocabularyReport, LongWordsAreUnknown) {
  const test::TemporaryFolder folder;
  TokenizerOptions options;
  options.max_chars_per_word = 4;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(word_tokenizer().vocabulary(), options);
  const VocabularyReport report = report_vocabulary(tokenizer, count_pieces_of(folder.write("a.txt", "goods good"), 4));
  EXPECT_EQ(report.all.words, 2);
  EXPECT_EQ(report.all.unknown_words, 1);
}

TEST(VocabularyExtend, ReadsWordsAndCountsWhatIsThere) {
  const test::TemporaryFolder folder;
  const NewWords words = read_new_words(word_tokenizer(), folder.write("w.txt", "GOODS\n\nx\n goods \n\u5F71\nGood\n"));
  ASSERT_EQ(words.words.size(), 2u);
  EXPECT_EQ(words.words[0].word, "goods");
  EXPECT_THAT(words.words[0].pieces, ElementsAre(5, 6));
  EXPECT_EQ(words.words[1].word, "\u5F71");
  EXPECT_THAT(words.words[1].pieces, ElementsAre(1));
  EXPECT_EQ(words.known, 2);
  EXPECT_EQ(words.repeated, 1);
  EXPECT_EQ(words.unknown, 1);
}

TEST(VocabularyExtend, RefusesWhatIsNeverOneWord) {
  const test::TemporaryFolder folder;
  const auto refusal = [&](std::string_view content) {
    return test::error_of([&] { read_new_words(word_tokenizer(), folder.write("w.txt", content)); });
  };
  EXPECT_THAT(refusal("goods\nheart attack\n"), HasSubstr("w.txt line 2: expected one word"));
  EXPECT_THAT(refusal("covid-19"), HasSubstr("into 3 (covid - 19)"));
  EXPECT_THAT(refusal("\u7535\u5F71"), HasSubstr("w.txt line 1"));
  EXPECT_THAT(refusal(std::string(101, 'a')), HasSubstr("101 characters"));
  EXPECT_THAT(refusal("\xFF"), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(refusal("\n \n"), HasSubstr("w.txt is empty"));
}

TEST(VocabularyExtend, TakesTheMostFrequentSplitWordsOfACorpus) {
  const test::TemporaryFolder folder;
  const CorpusCounts counts = count_pieces_of(folder.write("a.txt", "good good goods goods zz zz x y goodss\n"));
  const NewWords words = frequent_split_words(word_tokenizer(), counts, 2);
  ASSERT_EQ(words.words.size(), 2u);
  EXPECT_EQ(words.words[0].word, "goods");
  EXPECT_EQ(words.words[1].word, "zz");
  EXPECT_THAT(test::error_of([&] { frequent_split_words(word_tokenizer(), counts, 0); }), HasSubstr("at least 1"));
}

TEST(VocabularyExtend, WordsStandAtTheEnd) {
  const std::vector<NewWord> words = {{"goods", {5, 6}}};
  const Tokenizer extended = extend_tokenizer(word_tokenizer(), words);
  EXPECT_EQ(extended.vocabulary().piece(10), "goods");
  EXPECT_THAT(extended.encode("Goods good").ids, ElementsAre(2, 10, 5, 3));
  TokenizerOptions options;
  options.added_tokens.emplace(1).front().content = "<e>";
  const Tokenizer added = Tokenizer::from_vocabulary(word_tokenizer().vocabulary(), options);
  EXPECT_THAT(test::error_of([&] { extend_tokenizer(added, words); }), HasSubstr("<e>"));
}

}  // namespace
}  // namespace cloze
