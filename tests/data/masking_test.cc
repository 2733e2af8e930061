// Masking: how much, what becomes of it, and what is never touched. Permutations: that they are, and without bias.
#include "cloze/data/masking.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "cloze/data/permutation.h"
#include "tests/data/small_corpus.h"

namespace cloze {
namespace {

using test::error_of;
using Ids = std::vector<int32_t>;

constexpr int32_t kUnknown = 1, kClsId = 2, kSepId = 3, kMask = 4, kUnused = 5, kFirstWord = 7, kWords = 200,
                  kPieces = 100;

Tokenizer tokenizer() {
  std::vector<std::string> pieces = {"[unused1]", "[unused99]"};
  for (int i = 0; i < kWords; ++i) pieces.push_back(fmt::format("w{}", i));
  for (int i = 0; i < kPieces; ++i) pieces.push_back(fmt::format("##p{}", i));
  return test::tokenizer_of(pieces);
}

struct TokenRow {
  Ids ids, positions, targets;
  std::vector<uint8_t> begins;
  void add(int32_t id, bool begins_word) {
    ids.push_back(id);
    begins.push_back(begins_word ? 1 : 0);
  }
};

/// [CLS] words of 1 to 4 pieces [SEP], among them now and then [UNK] and [unused1].
TokenRow make_row(uint64_t number) {
  Rng rng(number, RandomStream::kTest);
  TokenRow row;
  row.add(kClsId, true);
  while (row.ids.size() < 120) {
    const uint64_t kind = rng.below(40);
    if (kind < 2) {
      row.add(kind == 0 ? kUnknown : kUnused, true);
      continue;
    }
    row.add(kFirstWord + static_cast<int32_t>(rng.below(kWords)), true);
    for (uint64_t more = rng.below(8); more > 4; --more)
      row.add(kFirstWord + kWords + static_cast<int32_t>(rng.below(kPieces)), false);
  }
  row.add(kSepId, true);
  return row;
}

TokenRow masked(const Masker& masker, TokenRow row, uint64_t number) {
  Rng rng(number, RandomStream::kMask);
  masker.mask(row.ids, row.begins, rng, row.positions, row.targets);
  return row;
}

struct Shares {
  double maskable = 0, predicted = 0, shown_mask = 0, shown_same = 0, shown_other = 0;
  std::set<int32_t> drawn;
};

/// Masks 20000 rows and checks what must hold for each one.
Shares shares_of(const Masker& masker) {
  Shares sums;
  for (uint64_t number = 0; number < 20000; ++number) {
    const TokenRow before = make_row(number), after = masked(masker, before, number);
    const size_t predicted = after.positions.size();
    EXPECT_GE(predicted, 1u);
    EXPECT_EQ(after.targets.size(), predicted);
    EXPECT_TRUE(std::ranges::is_sorted(after.positions, std::less_equal<>())) << "ascending, none twice";
    Ids unmasked = after.ids;
    for (size_t i = 0; i < predicted; ++i) {
      const size_t at = static_cast<size_t>(after.positions[i]);
      unmasked[at] = after.targets[i];
      EXPECT_GE(before.ids[at], kFirstWord) << "special";
      const int32_t shown = after.ids[at];
      (shown == kMask ? sums.shown_mask : shown == before.ids[at] ? sums.shown_same : sums.shown_other) += 1;
      if (shown != kMask && shown != before.ids[at]) sums.drawn.insert(shown);
    }
    EXPECT_EQ(unmasked, before.ids) << "targets are what was there, and nothing else changed";
    for (const int32_t id : before.ids) sums.maskable += id >= kFirstWord ? 1 : 0;
    sums.predicted += static_cast<double>(predicted);
  }
  return sums;
}

TEST(Masker, SharesOfPieces) {
  const Shares sums = shares_of({tokenizer(), {.whole_words = false}});
  EXPECT_NEAR(sums.predicted / sums.maskable, 0.15, 0.001);
  // 5 standard deviations; a drawn token is the same again in one of 300 cases.
  EXPECT_NEAR(sums.shown_mask / sums.predicted, 0.8, 0.0035);
  EXPECT_NEAR(sums.shown_same / sums.predicted, 0.1 + 0.1 / 300, 0.0026);
  EXPECT_NEAR(sums.shown_other / sums.predicted, 0.1 - 0.1 / 300, 0.0026);
  EXPECT_EQ(sums.drawn.size(), 300u) << "all words and pieces";
  EXPECT_EQ(*sums.drawn.begin(), kFirstWord) << "no special token";
}

TEST(Masker, SharesOfWholeWords) {
  const Shares sums = shares_of({tokenizer(), {}});
  EXPECT_NEAR(sums.predicted / sums.maskable, 0.15, 0.001);
  EXPECT_NEAR(sums.shown_mask / sums.predicted, 0.8, 0.0035);
  const Shares much = shares_of({tokenizer(), {.rate = 0.4, .mask_share = 0.5, .random_share = 0.5}});
  EXPECT_NEAR(much.predicted / much.maskable, 0.4, 0.001);
  EXPECT_NEAR(much.shown_mask / much.predicted, 0.5, 0.003);
  EXPECT_NEAR(much.shown_same / much.predicted, 0.5 / 300, 0.0003);
  const Shares all = shares_of({tokenizer(), {.rate = 0.3, .mask_share = 1, .random_share = 0}});
  EXPECT_EQ(all.shown_mask, all.predicted);
}

TEST(Masker, WholeWordsAllOrNone) {
  const Masker whole(tokenizer(), {}), pieces(tokenizer(), {.whole_words = false});
  int64_t parted = 0;
  for (uint64_t number = 0; number < 2000; ++number) {
    const TokenRow before = make_row(number);
    const auto torn_words = [&](const Masker& masker) {
      const TokenRow after = masked(masker, before, number);
      int64_t torn = 0;
      for (size_t i = 1; i < before.ids.size(); ++i) {
        const auto is_masked = [&](size_t at) {
          return std::ranges::binary_search(after.positions, static_cast<int32_t>(at));
        };
        torn += before.begins[i] == 0 && is_masked(i) != is_masked(i - 1) ? 1 : 0;
      }
      return torn;
    };
    EXPECT_EQ(torn_words(whole), 0);
    parted += torn_words(pieces);
  }
  EXPECT_GT(parted, 1000);
}

TEST(Masker, EachWordIsAsLikelyAsAnother) {
  const Masker masker(tokenizer(), {});
  TokenRow row;
  for (int i = 0; i < 40; ++i) row.add(kFirstWord + i, true);
  std::vector<double> times(40);
  for (uint64_t number = 0; number < 20000; ++number)
    for (const int32_t position : masked(masker, row, number).positions) ++times[static_cast<size_t>(position)];
  for (const double count : times) EXPECT_NEAR(count / 20000, 0.15, 0.0127);
}

TEST(Masker, SmallRows) {
  const Masker masker(tokenizer(), {});
  TokenRow none;
  for (const int32_t id : {kClsId, kUnknown, kUnused, kSepId}) none.add(id, true);
  const TokenRow same = masked(masker, none, 1);
  EXPECT_EQ(same.ids, none.ids);
  EXPECT_TRUE(same.positions.empty() && same.targets.empty());
  EXPECT_TRUE(masked(masker, {}, 1).positions.empty());

  TokenRow one;
  one.add(kClsId, true);
  one.add(kFirstWord, true);
  EXPECT_EQ(masked(masker, one, 1).positions, Ids{1}) << "at least one";

  TokenRow longer;  // one word that is more than its row's share, and begins before the row
  for (int i = 0; i < 10; ++i) longer.add(kFirstWord + kWords + i, false);
  EXPECT_EQ(masked(masker, longer, 1).positions.size(), 10u);
  longer.add(kSepId, true);
  longer.add(kFirstWord + kWords, false);  // behind [SEP] it cannot go on
  for (uint64_t number = 0; number < 50; ++number) {
    const Ids positions = masked(masker, longer, number).positions;
    EXPECT_EQ(positions, Ids{11});
  }
}

TEST(Masker, EqualArgumentsGiveEqualResults) {
  const Masker masker(tokenizer(), {});
  const TokenRow a = masked(masker, make_row(7), 1), b = masked(masker, make_row(7), 1),
                 c = masked(masker, make_row(7), 2);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.positions, b.positions);
  EXPECT_NE(a.positions, c.positions);
}

TEST(Masker, WhatCannotBe) {
  const auto error = [](const MaskingOptions& options) { return error_of([&] { Masker(tokenizer(), options); }); };
  EXPECT_EQ(error({.rate = 0}), "usage: the share of masked tokens must be above 0 and below 1, got 0");
  EXPECT_THAT(error({.rate = 1}), testing::HasSubstr("got 1"));
  EXPECT_THAT(error({.rate = std::nan("")}), testing::HasSubstr("got nan"));
  EXPECT_THAT(error({.mask_share = 0.8, .random_share = 0.3}), testing::HasSubstr("usage: shares of [MASK]"));
  EXPECT_THAT(error({.mask_share = -0.1}), testing::HasSubstr("usage: shares of [MASK]"));
  EXPECT_EQ(error_of([] { Masker(test::tokenizer_of({"[unused3]"}), {}); }),
            "value: the vocabulary has nothing but special tokens");
  EXPECT_THAT(error_of([] {
                Masker(Tokenizer::from_vocabulary(Vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"})), {});
              }),
              testing::HasSubstr("not found: "));
}

std::vector<uint64_t> order_of(uint64_t n, uint64_t seed, uint64_t number) {
  const Permutation permutation(n, seed, RandomStream::kShuffle, number);
  std::vector<uint64_t> order(n);
  for (uint64_t i = 0; i < n; ++i) order[i] = permutation(i);
  return order;
}

TEST(Permutation, IsABijection) {
  for (const uint64_t n : {1, 2, 3, 4, 5, 16, 17, 64, 1000, 4097}) {
    std::vector<uint64_t> all(n);
    std::iota(all.begin(), all.end(), uint64_t{0});
    for (uint64_t number = 0; number < 20; ++number) {
      std::vector<uint64_t> order = order_of(n, 9, number);
      if (n >= 64) {
        EXPECT_NE(order, all);
      }
      std::ranges::sort(order);
      ASSERT_EQ(order, all) << n << ", " << number;
    }
  }
  const Permutation huge(uint64_t{1} << 40, 1, RandomStream::kShuffle, 0);
  EXPECT_LT(huge(0), uint64_t{1} << 40);
}

TEST(Permutation, DiffersByNumberSeedAndStream) {
  const auto first = order_of(64, 9, 0);
  EXPECT_EQ(order_of(64, 9, 0), first);
  EXPECT_NE(order_of(64, 9, 1), first);
  EXPECT_NE(order_of(64, 10, 0), first);
  EXPECT_NE(Permutation(1 << 20, 9, RandomStream::kData, 0)(5), Permutation(1 << 20, 9, RandomStream::kShuffle, 0)(5));
}

TEST(Permutation, NoPlaceIsFavoured) {
  for (const uint64_t n : {2, 3, 5, 7, 64, 100}) {
    for (const uint64_t i : {uint64_t{0}, n - 1}) {
      const double expected = 500;
      std::vector<double> times(n);
      for (uint64_t number = 0; number < 500 * n; ++number)
        ++times[Permutation(n, 3, RandomStream::kShuffle, number)(i)];
      double chi_square = 0;
      for (const double count : times) chi_square += (count - expected) * (count - expected) / expected;
      const double freedom = static_cast<double>(n - 1);
      EXPECT_LT(chi_square, freedom + 5 * std::sqrt(2 * freedom) + 6) << n << ", element " << i;
    }
  }
}

}  // namespace
}  // namespace cloze
