#include "cloze/task/long_texts.h"

#include <gmock/gmock.h>

#include <numeric>

#include "cloze/base/error.h"
#include "cloze/task/batches.h"

namespace cloze {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int32_t C = 1, S = 2;  // [CLS], [SEP]

Vocabulary vocabulary() {
  return Vocabulary({"[UNK]", "[CLS]", "[SEP]", "x"});
}

/// Pieces from, from+1, …
std::vector<int32_t> pieces(int32_t from, size_t count) {
  std::vector<int32_t> result(count);
  std::iota(result.begin(), result.end(), from);
  return result;
}

struct Cut {
  std::vector<TokenSequence> sequences;
  int64_t dropped;
};
Cut cut(const RowLimits& limits, const std::vector<int32_t>& first,
        const std::optional<std::vector<int32_t>>& second = std::nullopt) {
  Cut result;
  result.dropped = append_sequences(first, second ? std::optional<std::span<const int32_t>>(*second) : std::nullopt,
                                    limits, vocabulary(), result.sequences);
  return result;
}

TEST(LongTexts, WhatFitsIsLeftAloneByAll) {
  for (const LongTexts how : {LongTexts::kTruncate, LongTexts::kHeadTail, LongTexts::kWindow}) {
    const RowLimits limits{.max_length = 8, .long_texts = how, .stride = 1};
    const Cut single = cut(limits, pieces(10, 6));
    ASSERT_EQ(single.sequences.size(), 1u);
    EXPECT_THAT(single.sequences[0].ids, ElementsAre(C, 10, 11, 12, 13, 14, 15, S));
    EXPECT_EQ(single.dropped, 0);
    const Cut pair = cut(limits, pieces(10, 2), pieces(20, 3));
    EXPECT_THAT(pair.sequences[0].ids, ElementsAre(C, 10, 11, S, 20, 21, 22, S));
    EXPECT_THAT(pair.sequences[0].segments, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
    EXPECT_THAT(cut(limits, {}).sequences[0].ids, ElementsAre(C, S));
  }
}

TEST(LongTexts, TruncateDropsTheEndAndCountsIt) {
  const Cut single = cut({.max_length = 6}, pieces(10, 9));
  EXPECT_THAT(single.sequences[0].ids, ElementsAre(C, 10, 11, 12, 13, S));
  EXPECT_EQ(single.dropped, 5);
  const Cut pair = cut({.max_length = 8}, pieces(10, 2), pieces(20, 9));
  EXPECT_THAT(pair.sequences[0].ids, ElementsAre(C, 10, 11, S, 20, 21, 22, S));
  EXPECT_EQ(pair.dropped, 6);
}

TEST(LongTexts, HeadTailKeepsAQuarterAndTheEnd) {
  const RowLimits limits{.max_length = 10, .long_texts = LongTexts::kHeadTail};
  const Cut single = cut(limits, pieces(10, 30));
  EXPECT_THAT(single.sequences[0].ids, ElementsAre(C, 10, 11, 34, 35, 36, 37, 38, 39, S));
  EXPECT_EQ(single.dropped, 22);
  const RowLimits bert{.max_length = 512, .long_texts = LongTexts::kHeadTail};
  const std::vector<int32_t> ids = cut(bert, pieces(1000, 2000)).sequences[0].ids;
  EXPECT_EQ(ids[128], 1127) << "128 tokens of the head, as published";
  EXPECT_EQ(ids[129], 1000 + 2000 - 382) << "382 of the tail";
  EXPECT_EQ(ids.size(), 512u);
}

TEST(LongTexts, WindowsOverlapByTheStrideAndLoseNothing) {
  const RowLimits limits{.max_length = 6, .long_texts = LongTexts::kWindow, .stride = 1};
  const Cut single = cut(limits, pieces(10, 9));
  ASSERT_EQ(single.sequences.size(), 3u);
  EXPECT_THAT(single.sequences[0].ids, ElementsAre(C, 10, 11, 12, 13, S));
  EXPECT_THAT(single.sequences[1].ids, ElementsAre(C, 13, 14, 15, 16, S));
  EXPECT_THAT(single.sequences[2].ids, ElementsAre(C, 16, 17, 18, S));
  EXPECT_EQ(single.dropped, 0);
  EXPECT_EQ(cut(limits, pieces(10, 7)).sequences.size(), 2u) << "a window that ends where the text does is the last";
}

TEST(LongTexts, OfAPairTheLongerIsSplitAndTheShorterRepeated) {
  const RowLimits limits{.max_length = 9, .long_texts = LongTexts::kWindow, .stride = 0};
  const Cut right = cut(limits, pieces(10, 2), pieces(20, 6));
  ASSERT_EQ(right.sequences.size(), 2u);
  EXPECT_THAT(right.sequences[0].ids, ElementsAre(C, 10, 11, S, 20, 21, 22, 23, S));
  EXPECT_THAT(right.sequences[1].ids, ElementsAre(C, 10, 11, S, 24, 25, S));
  EXPECT_THAT(right.sequences[1].segments, ElementsAre(0, 0, 0, 0, 1, 1, 1));
  const Cut left = cut(limits, pieces(10, 6), pieces(20, 2));
  EXPECT_THAT(left.sequences[1].ids, ElementsAre(C, 14, 15, S, 20, 21, S));
  const Cut both = cut(limits, pieces(10, 20), pieces(40, 21));
  EXPECT_THAT(both.sequences[0].ids, ElementsAre(C, 10, 11, 12, S, 40, 41, 42, S)) << "half of the room each";
  EXPECT_EQ(both.dropped, 17);
}

TEST(LongTexts, LimitsComeFromTheUserThenTheCheckpointThenTheModel) {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(vocabulary());
  BertConfig config;
  EXPECT_EQ(resolve_limits({}, tokenizer, config, "config.json").max_length, 512);
  EXPECT_EQ(resolve_limits({.max_length = 128}, tokenizer, config, "config.json").max_length, 128);
  note_limits({.max_length = 64, .long_texts = LongTexts::kWindow, .stride = 5}, config);
  const RowLimits noted = resolve_limits({}, tokenizer, config, "config.json");
  EXPECT_EQ(noted.max_length, 64);
  EXPECT_EQ(noted.long_texts, LongTexts::kWindow);
  EXPECT_EQ(noted.stride, 5);
  EXPECT_EQ(resolve_limits({.max_length = 40}, tokenizer, config, "config.json").stride, 10)
      << "a quarter of another length";
  EXPECT_EQ(resolve_limits({.long_texts = "truncate"}, tokenizer, config, "config.json").long_texts,
            LongTexts::kTruncate);
  note_limits({.max_length = 64}, config);
  EXPECT_FALSE(config.cloze.contains("long"));
}

TEST(LongTexts, RefusesWhatCannotBe) {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(vocabulary());
  const auto refusal = [&](const LengthOptions& wanted) {
    try {
      resolve_limits(wanted, tokenizer, BertConfig(), "config.json");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal({.max_length = 513}), "--max-length must be 3 to 512 for this model, got 513");
  EXPECT_EQ(refusal({.max_length = 2}), "--max-length must be 3 to 512 for this model, got 2");
  EXPECT_EQ(refusal({.long_texts = "windows"}), "--long must be truncate, head-tail or window, got \"windows\"");
  EXPECT_EQ(refusal({.stride = 3}), "--stride goes with --long window only");
  EXPECT_THAT(refusal({.max_length = 32, .long_texts = "window", .stride = 14}), HasSubstr("--stride must be 0 to 13"));
  EXPECT_THAT(refusal({.max_length = 7, .long_texts = "window"}), HasSubstr("at least 8"));
  BertConfig noted;
  noted.cloze["max_length"] = 4000;
  try {
    resolve_limits({}, tokenizer, noted, "m/config.json");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "m/config.json: \"cloze\": \"max_length\" must be 3 to 512, found 4000");
  }
}

TEST(LongTexts, CountsAreSaid) {
  const RowLimits cuts{.max_length = 64}, windows{.max_length = 64, .long_texts = LongTexts::kWindow};
  EXPECT_EQ((LengthCounts{.rows = 9, .windows = 9}).text(cuts), "");
  EXPECT_EQ((LengthCounts{.rows = 9, .truncated = 2, .windows = 9}).text(cuts),
            "2 of 9 rows were longer than 64 tokens and were cut (--long window reads all of them)");
  EXPECT_EQ((LengthCounts{.rows = 9, .windowed = 2, .windows = 14}).text(windows),
            "2 of 9 rows were read in several windows, 7 in all");
}

TEST(MeanOverWindows, AveragesEachRow) {
  EncodedRows rows;
  rows.begin = {0, 1, 4};
  rows.dropped = {0, 0};
  const Tensor means = mean_over_windows(Tensor::of<float>(Shape({4, 2}), {0.1f, 7, 1, 0, 2, 1, 6, 5}), rows);
  EXPECT_THAT(means.values<float>(), ElementsAre(0.1f, 7, 3, 2));
}

}  // namespace
}  // namespace cloze
