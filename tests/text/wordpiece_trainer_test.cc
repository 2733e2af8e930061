// WordPiece training against vocabularies worked out by hand, and against the plainest trainer there is.
#include "cloze/text/wordpiece_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "cloze/base/rng.h"
#include "cloze/base/utf8.h"
#include "cloze/text/tokenizer.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Pieces = std::vector<std::string>;

Pieces without_specials(const TrainedVocabulary& trained) {
  EXPECT_THAT(Pieces(trained.pieces.begin(), trained.pieces.begin() + 5),
              ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
  return {trained.pieces.begin() + 5, trained.pieces.end()};
}

TrainedVocabulary train(const std::vector<WordCount>& words, int64_t size, int64_t min_frequency = 1) {
  WordPieceTrainerOptions options;
  options.size = size;
  options.min_frequency = min_frequency;
  return train_wordpiece(words, options);
}

// Symbols: l 0, ##e 1, ##o 2, ##r 3, ##w 4. (l, ##o) and (##o, ##w) are seen 4 times each, the lower ids win: "lo";
// then (lo, ##w) 4 times: "low"; then (##e, ##r) before (low, ##e), both once; then (low, ##er).
TEST(WordPieceTrainer, MergesTheMostFrequentPairOfEqualOnesTheLowerIds) {
  EXPECT_THAT(without_specials(train({{"low", 3}, {"lower", 1}}, 100)),
              ElementsAre("l", "##e", "##o", "##r", "##w", "lo", "low", "##er", "lower"));
}

TEST(WordPieceTrainer, StopsAtTheSize) {
  const TrainedVocabulary trained = train({{"low", 3}, {"lower", 1}}, 12);
  EXPECT_THAT(without_specials(trained), ElementsAre("l", "##e", "##o", "##r", "##w", "lo", "low"));
  EXPECT_EQ(trained.characters, 5);
  EXPECT_EQ(trained.merges, 2);
}

// "e" and "r" are seen once: they are no entries, and "lower" takes no part.
TEST(WordPieceTrainer, LeavesOutWhatIsRarerThanTheLeastFrequency) {
  const TrainedVocabulary trained = train({{"low", 3}, {"lower", 1}}, 100, 2);
  EXPECT_THAT(without_specials(trained), ElementsAre("l", "##o", "##w", "lo", "low"));
  EXPECT_DOUBLE_EQ(trained.character_coverage, 12.0 / 14);
  EXPECT_DOUBLE_EQ(trained.word_coverage, 0.75);
  EXPECT_EQ(trained.left_out_characters, 0);
}

// a ##a ##a ##a: (##a, ##a) stands there twice, but overlaps: from the left, a ##aa ##a.
TEST(WordPieceTrainer, OverlappingPairsAreMergedFromTheLeft) {
  EXPECT_THAT(without_specials(train({{"aaaa", 1}}, 100)), ElementsAre("a", "##a", "##aa", "aaa", "aaaa"));
}

TEST(WordPieceTrainer, ChineseCharactersStandAloneInTheOrderOfCodePoints) {
  EXPECT_THAT(without_specials(train({{"\u5F71", 2}, {"\u7535", 3}}, 100)), ElementsAre("\u5F71", "\u7535"));
}

TEST(WordPieceTrainer, TheRarestCharactersAreLeftOutFirstAndCounted) {
  WordPieceTrainerOptions options;
  options.size = 100;
  options.min_frequency = 1;
  options.alphabet_limit = 2;
  const std::vector<WordCount> words = {{"a", 3}, {"b", 1}, {"c", 2}};
  const TrainedVocabulary trained = train_wordpiece(words, options);
  EXPECT_THAT(without_specials(trained), ElementsAre("a", "c"));
  EXPECT_EQ(trained.left_out_characters, 1);
  EXPECT_DOUBLE_EQ(trained.character_coverage, 5.0 / 6);
}

TEST(WordPieceTrainer, UnusedTokensStandBehindThePadding) {
  WordPieceTrainerOptions options;
  options.size = 8;
  options.unused = 2;
  options.min_frequency = 1;
  EXPECT_THAT(train_wordpiece(std::vector<WordCount>{{"a", 1}}, options).pieces,
              ElementsAre("[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"));
}

TEST(WordPieceTrainer, SaysHowLargeTheVocabularyMustBe) {
  const std::vector<WordCount> words = {{"a", 1}, {"b", 1}, {"c", 1}};
  EXPECT_THAT(test::error_of([&] { train(words, 7); }), HasSubstr("give a size of at least 8"));
  EXPECT_THAT(without_specials(train(words, 8)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(test::error_of([&] { train(words, -1); }), HasSubstr("leaves 0 beside 5"));
  EXPECT_THAT(test::error_of([&] { train({}, 100); }), HasSubstr("the corpus is empty"));
  EXPECT_THAT(test::error_of([&] { train(words, 100, 0); }), HasSubstr("at least 1, got 0"));
}

/// The specification: counts all pairs anew before each merge.
Pieces naive(const std::vector<WordCount>& words, size_t size, int64_t min_frequency, Pieces pieces) {
  std::vector<std::vector<size_t>> symbols;
  const auto id = [&](const std::string& piece) {
    return static_cast<size_t>(std::find(pieces.begin(), pieces.end(), piece) - pieces.begin());
  };
  for (const WordCount& word : words) {
    symbols.emplace_back();
    for (size_t i = 0; i < word.word.size(); ++i)
      symbols.back().push_back(id((i == 0 ? "" : "##") + std::string(1, word.word[i])));
  }
  while (pieces.size() < size) {
    std::map<std::pair<size_t, size_t>, int64_t> counts;
    for (size_t w = 0; w < words.size(); ++w)
      for (size_t i = 0; i + 1 < symbols[w].size(); ++i) counts[{symbols[w][i], symbols[w][i + 1]}] += words[w].count;
    std::pair<size_t, size_t> best;
    int64_t most = 0;
    for (const auto& [pair, count] : counts)
      if (count > most) most = count, best = pair;
    if (most < min_frequency) break;
    const std::string text = pieces[best.first] + pieces[best.second].substr(2);
    if (id(text) == pieces.size()) pieces.push_back(text);
    for (std::vector<size_t>& word : symbols)
      for (size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == best.first && word[i + 1] == best.second) {
          word[i] = id(text);
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return pieces;
}

TEST(WordPieceTrainer, EqualsThePlainTrainerOnRandomWords) {
  Rng rng(7, RandomStream::kTest);
  for (int trial = 0; trial < 60; ++trial) {
    std::map<std::string, int64_t> made;
    const size_t letters = 1 + rng.below(4), distinct = 1 + rng.below(40);
    for (size_t i = 0; i < distinct; ++i) {
      std::string word;
      for (size_t length = 1 + rng.below(9); length > 0; --length) word += static_cast<char>('a' + rng.below(letters));
      made[word] += 1 + static_cast<int64_t>(rng.below(6));
    }
    std::vector<WordCount> words;
    for (const auto& [word, count] : made) words.push_back({word, count});
    const int64_t min_frequency = 1 + static_cast<int64_t>(rng.below(3));
    const TrainedVocabulary characters = train(words, 5 + 8, 1);  // room for the alphabet, whatever it is
    Pieces alphabet(characters.pieces.begin() + 5, characters.pieces.begin() + 5 + characters.characters);
    const int64_t size = 13 + static_cast<int64_t>(rng.below(60));
    // With a least frequency of 1 for characters every word takes part; the naive trainer knows no other case.
    const TrainedVocabulary trained = train(words, size, 1);
    EXPECT_EQ(without_specials(trained), naive(words, static_cast<size_t>(size) - 5, 1, alphabet)) << trial;
    EXPECT_LE(train(words, size, min_frequency).pieces.size(), static_cast<size_t>(size));
  }
}

TEST(WordPieceTrainer, EveryWordOfTheAlphabetIsWrittenWithoutUnknown) {
  const std::vector<WordCount> words = {{"caf\u00E9", 2}, {"cafes", 2}, {"rare", 1}, {"\u7535", 4}, {"scare", 3}};
  const TrainedVocabulary trained = train(words, 25, 2);
  const Vocabulary vocabulary(trained.pieces);
  TokenizerOptions options;
  options.normalizer.lowercase = false;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(vocabulary, options);
  for (const WordCount& word : words) {
    bool known = true;
    for (size_t i = 0; i < word.word.size();) {
      const size_t length = static_cast<size_t>(decode_utf8(word.word, i).length_bytes);
      known = known && vocabulary.contains((i == 0 ? "" : "##") + std::string(word.word.substr(i, length)));
      i += length;
    }
    const Encoding encoding = tokenizer.encode(word.word);
    const bool unknown = std::count(encoding.ids.begin(), encoding.ids.end(), vocabulary.unk_id()) > 0;
    EXPECT_NE(known, unknown) << word.word;
    EXPECT_EQ(known, word.word != "rare") << word.word;
  }
}

}  // namespace
}  // namespace cloze
