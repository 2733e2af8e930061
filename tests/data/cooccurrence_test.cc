// Counts of neighbours, and what is made of them, by hand.
#include "cloze/data/cooccurrence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/rng.h"
#include "cloze/base/thread_team.h"
#include "cloze/data/token_cache.h"
#include "tests/data/small_corpus.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::HasSubstr;

constexpr uint32_t kEnd = CachedToken::kEndsDocument;

CooccurrenceOptions options_for(int64_t vocabulary, int64_t window, int64_t contexts = 100) {
  CooccurrenceOptions options;
  options.vocabulary = vocabulary;
  options.window = window;
  options.contexts = contexts;
  return options;
}

std::vector<float> row(const Cooccurrence& counts, int64_t w) {
  const int64_t C = counts.counts.shape()[1];
  const float* data = counts.counts.data<float>() + w * C;
  return {data, data + C};
}

TEST(Cooccurrence, CountsNeighboursWithinTheWindowAndTheDocument) {
  // Two documents: 1 2 1 3 and 2 3. By frequency the columns are 1, 2, 3 (each twice; the lower id first), 0.
  const std::vector<uint32_t> tokens = {1, 2 | CachedToken::kBeginsWord, 1, 3 | kEnd, 2, 3 | kEnd};
  const WeightedTokens text{tokens, 1};
  const Cooccurrence found = count_cooccurrence({&text, 1}, options_for(4, 1));
  EXPECT_EQ(found.frequency, (std::vector<double>{0, 2, 2, 2}));
  ASSERT_EQ(found.counts.shape(), Shape({4, 4}));
  EXPECT_EQ(row(found, 0), (std::vector<float>{0, 0, 0, 0}));
  EXPECT_EQ(row(found, 1), (std::vector<float>{0, 2, 1, 0}));
  EXPECT_EQ(row(found, 2), (std::vector<float>{2, 0, 1, 0}));
  EXPECT_EQ(row(found, 3), (std::vector<float>{1, 1, 0, 0}));
  const Cooccurrence wide = count_cooccurrence({&text, 1}, options_for(4, 2));
  EXPECT_EQ(row(wide, 1), (std::vector<float>{2, 2, 1, 0})) << "1 stands two before 1, and two after";
  EXPECT_EQ(row(wide, 2), (std::vector<float>{2, 0, 2, 0}));
}

TEST(Cooccurrence, WeighsTextsAndKeepsTheMostFrequentColumns) {
  const std::vector<uint32_t> one = {1, 2 | kEnd}, other = {3, 2, 3 | kEnd};
  const std::vector<WeightedTokens> texts = {{one, 1}, {other, 2.5}};
  const Cooccurrence found = count_cooccurrence(texts, options_for(4, 1, 2));
  EXPECT_EQ(found.frequency, (std::vector<double>{0, 1, 3.5, 5}));
  ASSERT_EQ(found.counts.shape(), Shape({4, 2})) << "columns of 3 and 2";
  EXPECT_EQ(row(found, 1), (std::vector<float>{0, 1}));
  EXPECT_EQ(row(found, 2), (std::vector<float>{5, 0}));
  EXPECT_EQ(row(found, 3), (std::vector<float>{0, 5}));
}

TEST(Cooccurrence, TakesTheFirstTokensAndFewerColumnsThanWouldNotFit) {
  const std::vector<uint32_t> tokens = {1, 2, 1, 2, 3, 3, 3, 3, 3 | kEnd};
  const WeightedTokens text{tokens, 1};
  CooccurrenceOptions options = options_for(4, 1);
  options.most_tokens = 4;
  options.most_entries = 11;
  const Cooccurrence found = count_cooccurrence({&text, 1}, options);
  EXPECT_EQ(found.frequency, (std::vector<double>{0, 2, 2, 0}));
  ASSERT_EQ(found.counts.shape(), Shape({4, 2}));
  EXPECT_EQ(row(found, 1), (std::vector<float>{0, 3}));
}

TEST(Cooccurrence, IsTheSameForAnyNumberOfThreads) {
  Rng rng(1, RandomStream::kTest);
  std::vector<uint32_t> tokens;
  for (int i = 0; i < 20000; ++i)
    tokens.push_back(static_cast<uint32_t>(rng.below(50)) | (rng.below(40) == 0 ? kEnd : 0));
  const WeightedTokens text{tokens, 0.3};
  std::vector<std::vector<float>> found;
  for (const int threads : {1, 2, 3, 7}) {
    set_thread_count(threads);
    const Tensor counts = count_cooccurrence({&text, 1}, options_for(50, 5)).counts;
    found.emplace_back(counts.values<float>().begin(), counts.values<float>().end());
  }
  set_thread_count(0);
  for (const auto& other : found) EXPECT_EQ(other, found[0]);
  double pairs = 0;
  for (const float count : found[0]) pairs += count;
  EXPECT_GT(pairs, 0.3 * 9 * 19000 * 0.8);
}

TEST(Cooccurrence, RefusesIdsBeyondTheVocabulary) {
  const std::vector<uint32_t> tokens = {1, 4 | kEnd};
  const WeightedTokens text{tokens, 1};
  EXPECT_THAT(error_of([&] {
                count_cooccurrence({&text, 1}, options_for(4, 1));
              }),
              HasSubstr("token 4 is beyond the vocabulary of 4"));
  EXPECT_THAT(error_of([&] { count_cooccurrence({&text, 1}, options_for(5, 0)); }), HasSubstr("a window"));
}

TEST(Cooccurrence, PositiveInformationIsTheFormula) {
  const Tensor counts({3, 2}, DType::kF32);
  const float values[] = {8, 0, 2, 6, 0, 0};
  std::copy_n(values, 6, counts.data<float>());
  Tensor information = counts;
  to_positive_information(information);
  const double a = std::pow(10, 0.75), b = std::pow(6, 0.75), column[] = {a / (a + b), b / (a + b)};
  const double want[] = {std::log(1 / column[0]), 0, 0, std::log(0.75 / column[1]), 0, 0};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(information.data<float>()[i], want[i], 1e-6) << i;
  EXPECT_LT(std::log(0.25 / column[0]), 0) << "the third would be negative";
}

}  // namespace
}  // namespace cloze
