#include "cloze/train/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "cloze/base/error.h"

namespace cloze {
namespace {

bool is_permutation_of(const std::vector<int64_t>& order, int64_t rows) {
  std::vector<int64_t> sorted(order), wanted(static_cast<size_t>(rows));
  std::ranges::sort(sorted);
  std::iota(wanted.begin(), wanted.end(), 0);
  return sorted == wanted;
}

TEST(Sampler, PermutesEachEpochAnew) {
  const auto a = shuffled_rows(1000, 1, 0), b = shuffled_rows(1000, 1, 1), again = shuffled_rows(1000, 1, 0);
  EXPECT_EQ(a, again);
  EXPECT_NE(a, b);
  EXPECT_NE(a, shuffled_rows(1000, 2, 0));
  EXPECT_TRUE(is_permutation_of(a, 1000));
}

TEST(Sampler, ByLengthPutsLikeLengthsTogetherInRandomOrder) {
  const auto length = [](int64_t row) { return row * 7919 % 101; };
  const auto order = rows_by_length(1003, 10, 1, 0, length);
  EXPECT_TRUE(is_permutation_of(order, 1003));
  EXPECT_EQ(order, rows_by_length(1003, 10, 1, 0, length)) << "the seed decides";
  EXPECT_NE(order, rows_by_length(1003, 10, 2, 0, length));
  EXPECT_NE(order, rows_by_length(1003, 10, 1, 1, length));
  int64_t spread = 0, ascents = 0;
  for (size_t begin = 0; begin + 10 <= order.size(); begin += 10) {
    std::vector<int64_t> lengths;
    for (size_t i = begin; i < begin + 10; ++i) lengths.push_back(length(order[i]));
    const auto [least, most] = std::ranges::minmax(lengths);
    spread += most - least;
    if (begin >= 10) ascents += lengths[0] > length(order[begin - 10]);
  }
  EXPECT_LT(spread / 100, 4) << "shuffled rows spread by about 80";
  EXPECT_GT(ascents, 25) << "the batches themselves come in no order of length";
  EXPECT_LT(ascents, 75);
}

TEST(Sampler, ByLengthOfFewRows) {
  const auto length = [](int64_t row) { return row; };
  EXPECT_TRUE(is_permutation_of(rows_by_length(3, 10, 1, 0, length), 3));
  EXPECT_TRUE(rows_by_length(0, 10, 1, 0, length).empty());
}

TEST(Sampler, NamesOfBatching) {
  EXPECT_EQ(parse_batching("shuffled"), Batching::kShuffled);
  EXPECT_EQ(parse_batching("by-length"), Batching::kByLength);
  EXPECT_THROW(parse_batching("sorted"), Error);
}

}  // namespace
}  // namespace cloze
