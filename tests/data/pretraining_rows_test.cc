// Rows of pretraining: layout, labels, shares, and that all text is seen. Each token of these caches tells its
// document.
#include "cloze/data/pretraining_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "cloze/base/rng.h"
#include "tests/data/small_corpus.h"

namespace cloze {
namespace {

using test::error_of;
using test::numbered_cache;
using test::TemporaryFolder;

constexpr int32_t kCls = 2, kSep = 3, kFirstId = 5;
using Documents = std::vector<std::vector<int>>;

/// `count` documents of some sentences of some words.
Documents random_documents(size_t count, uint64_t seed, uint64_t most_sentences = 12) {
  Rng rng(seed, RandomStream::kTest);
  Documents documents(count);
  for (auto& document : documents)
    for (uint64_t n = 2 + rng.below(most_sentences - 1); n > 0; --n)
      document.push_back(3 + static_cast<int>(rng.below(18)));
  return documents;
}

/// A row's segments, without [CLS] and [SEP], after checks of what each row must be.
struct Segments {
  std::vector<int32_t> ids[2];
  int64_t size(int which) const { return static_cast<int64_t>(ids[which].size()); }
};

Segments checked(const PretrainingRow& row, const TokenCache& cache, int64_t max_length, bool two, size_t first = 0) {
  Segments found;
  EXPECT_LE(static_cast<int64_t>(row.ids.size()), max_length);
  EXPECT_EQ(row.ids.size(), row.segments.size());
  EXPECT_EQ(row.ids.size(), row.begins_word.size());
  EXPECT_EQ(row.ids.front(), kCls);
  EXPECT_EQ(row.ids.back(), kSep);
  int32_t segment = 0;
  for (size_t i = 1; i < row.ids.size(); ++i) {
    EXPECT_EQ(row.segments[i], segment) << i;
    EXPECT_EQ(row.begins_word[i], 1) << i;
    if (row.ids[i] == kSep)
      ++segment;
    else if (segment < 2)
      found.ids[segment].push_back(row.ids[i]);
  }
  EXPECT_EQ(row.segments.front(), 0);
  EXPECT_EQ(segment, two ? 2 : 1) << "[SEP] ends each segment";
  for (int s = 0; s < (two ? 2 : 1); ++s) {
    EXPECT_GE(found.size(s), 1);
    for (int64_t i = 0; i < found.size(s); ++i) {
      const int32_t id = found.ids[s][static_cast<size_t>(i)];
      EXPECT_EQ(id, kFirstId + static_cast<int32_t>(first) + row.document[s]);
      EXPECT_EQ(id, static_cast<int32_t>(cache.tokens()[static_cast<size_t>(row.begin[s] + i)] & CachedToken::kId));
    }
  }
  return found;
}

bool same(const PretrainingRow& a, const PretrainingRow& b) {
  return a.ids == b.ids && a.segments == b.segments && a.begins_word == b.begins_word && a.label == b.label &&
         a.source == b.source;
}

TEST(PretrainingRows, NextSentence) {
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(300, 1));
  const PretrainingRows rows({{"a", cache}}, kCls, kSep, {.max_length = 64});
  constexpr int64_t kRows = 20000;
  double ones = 0, full = 0;
  for (int64_t number = 0; number < kRows; ++number) {
    const PretrainingRow row = rows.row(number);
    const Segments segments = checked(row, *cache, 64, true);
    ones += row.label;
    if (row.label == 1) {
      EXPECT_NE(row.document[0], row.document[1]);
      continue;
    }
    EXPECT_EQ(row.label, 0);
    EXPECT_EQ(row.document[0], row.document[1]);
    // Only truncation parts the second from the end of the first.
    const int64_t gap = row.begin[1] - row.begin[0] - segments.size(0);
    EXPECT_GE(gap, 0);
    if (row.ids.size() < 64) {
      EXPECT_EQ(gap, 0);
    }
    full += row.ids.size() == 64 ? 1 : 0;
  }
  EXPECT_NEAR(ones / kRows, 0.5, 0.0177) << "5 standard deviations";
  EXPECT_GT(full, kRows / 10);
}

TEST(PretrainingRows, SecondSegmentsLookAlike) {
  // Documents of every length, also ones that are shorter than a row.
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(900, 3, 16));
  for (const int64_t max_length : {32, 64, 128}) {
    const PretrainingRows rows({{"a", cache}}, kCls, kSep, {.max_length = max_length});
    double count[2] = {}, total[2] = {}, squares[2] = {}, second[2] = {}, ends[2] = {}, begins[2] = {};
    for (int64_t number = 0; number < 20000; ++number) {
      const PretrainingRow row = rows.row(number);
      const Segments segments = checked(row, *cache, max_length, true);
      const int label = row.label;
      const size_t begin = static_cast<size_t>(row.begin[1]), end = begin + segments.ids[1].size();
      count[label] += 1;
      total[label] += static_cast<double>(row.ids.size());
      squares[label] += static_cast<double>(row.ids.size() * row.ids.size());
      second[label] += static_cast<double>(segments.size(1));
      ends[label] += (cache->tokens()[end - 1] & CachedToken::kEndsSentence) != 0 ? 1 : 0;
      begins[label] += begin == 0 || (cache->tokens()[begin - 1] & CachedToken::kEndsSentence) != 0 ? 1 : 0;
    }
    const auto difference = [&](const double* sums) { return sums[0] / count[0] - sums[1] / count[1]; };
    EXPECT_LT(std::abs(difference(total)), 0.03 * static_cast<double>(max_length)) << max_length;
    EXPECT_LT(std::abs(difference(second)), 0.03 * static_cast<double>(max_length)) << max_length;
    const auto spread = [&](int label) {
      return std::sqrt(squares[label] / count[label] - std::pow(total[label] / count[label], 2));
    };
    EXPECT_LT(std::abs(spread(0) - spread(1)), 0.03 * static_cast<double>(max_length)) << max_length;
    // Whoever sees whether the second segment ends and begins with a sentence must not see the label by it.
    EXPECT_LT(std::abs(difference(ends)), 0.06) << max_length;
    EXPECT_LT(std::abs(difference(begins)), 0.06) << max_length;
  }
}

TEST(PretrainingRows, OrderSwapsNeighbours) {
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(50, 1));
  const PretrainingRows rows({{"a", cache}}, kCls, kSep,
                             {.max_length = 64, .objective = SentenceObjective::kOrder, .heldout_share = 0});
  double ones = 0;
  for (int64_t number = 0; number < 5000; ++number) {
    const PretrainingRow row = rows.row(number);
    const Segments segments = checked(row, *cache, 64, true);
    EXPECT_EQ(row.document[0], row.document[1]);
    const int earlier = row.label, later = 1 - row.label;
    const int64_t gap = row.begin[later] - row.begin[earlier] - segments.size(earlier);
    EXPECT_GE(gap, 0);
    if (row.ids.size() < 64) {
      EXPECT_EQ(gap, 0);
    }
    ones += row.label;
  }
  EXPECT_NEAR(ones / 5000, 0.5, 0.036);
}

TEST(PretrainingRows, AllTrainingTextIsSeenOnceAnEpoch) {
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(200, 2));
  const PretrainingRows rows(
      {{"a", cache}}, kCls, kSep,
      {.max_length = 40, .objective = SentenceObjective::kNone, .short_rate = 0.3, .heldout_share = 0.1});
  const int64_t count = rows.rows_of(0);
  EXPECT_EQ(rows.rows_per_epoch(), count);
  int64_t training = 0;  // tokens of the first 180 documents
  for (int64_t documents = 0; documents < 180; ++training)
    documents += (cache->tokens()[static_cast<size_t>(training)] & CachedToken::kEndsDocument) != 0 ? 1 : 0;
  std::vector<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<int> seen(cache->tokens().size());
    auto& order = orders.emplace_back();
    for (int64_t i = 0; i < count; ++i) {
      const PretrainingRow row = rows.row(epoch * count + i);
      const Segments segments = checked(row, *cache, 40, false);
      EXPECT_EQ(row.label, -1);
      order.push_back(row.begin[0]);
      for (int64_t t = 0; t < segments.size(0); ++t) ++seen[static_cast<size_t>(row.begin[0] + t)];
    }
    EXPECT_EQ(std::ranges::max(seen), 1);
    // Single tokens that are left at a document's end make no row.
    const auto unseen = std::count(seen.begin(), seen.begin() + training, 0);
    EXPECT_LT(static_cast<double>(unseen), 0.005 * static_cast<double>(training));
    EXPECT_EQ(std::count(seen.begin() + training, seen.end(), 1), 0) << "held out";
  }
  EXPECT_NE(orders[0], orders[1]) << "another order";
  for (auto& order : orders) std::ranges::sort(order);
  EXPECT_EQ(orders[0], orders[1]);
}

TEST(PretrainingRows, HeldOutDocumentsStayOut) {
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(200, 2));
  for (const auto objective : {SentenceObjective::kNone, SentenceObjective::kNext, SentenceObjective::kOrder}) {
    const bool two = objective != SentenceObjective::kNone;
    const PretrainingRows rows({{"a", cache}}, kCls, kSep,
                               {.max_length = 48, .objective = objective, .heldout_share = 0.05});
    for (int64_t number = 0; number < 5000; ++number) {
      const PretrainingRow row = rows.row(number);
      EXPECT_LT(std::max(row.document[0], row.document[1]), 190);
      checked(row, *cache, 48, two);
    }
    EXPECT_GT(rows.heldout_rows(), 10);
    std::set<int64_t> begins;
    for (int64_t number = 0; number < rows.heldout_rows(); ++number) {
      const PretrainingRow row = rows.heldout_row(number);
      EXPECT_GE(std::min(row.document[0], row.document[1]), 190);
      checked(row, *cache, 48, two);
      EXPECT_TRUE(same(row, rows.heldout_row(number)));
      if (!two) begins.insert(row.begin[0]);
    }
    if (!two) {
      EXPECT_EQ(static_cast<int64_t>(begins.size()), rows.heldout_rows());
    }
    EXPECT_THAT(error_of([&] { rows.heldout_row(rows.heldout_rows()); }), testing::HasSubstr("internal: "));
  }
  EXPECT_EQ(PretrainingRows({{"a", cache}}, kCls, kSep, {.heldout_share = 0}).heldout_rows(), 0);
}

TEST(PretrainingRows, ShortRows) {
  const TemporaryFolder folder;
  const Documents documents(4, std::vector<int>(3000, 10));
  const auto cache = numbered_cache(folder, "a", documents);
  for (const double rate : {0.0, 0.1, 0.5}) {
    const PretrainingRows rows({{"a", cache}}, kCls, kSep,
                               {.max_length = 128, .objective = SentenceObjective::kNone, .short_rate = rate});
    double shorter = 0;
    size_t least = 128;
    for (int64_t number = 0; number < rows.rows_of(0); ++number) {
      const size_t length = rows.row(number).ids.size();
      shorter += length < 128 ? 1 : 0;
      least = std::min(least, length);
    }
    const double count = static_cast<double>(rows.rows_of(0));
    // A row at each document's end is short as well.
    EXPECT_NEAR((shorter - 4) / count, rate, 5 * std::sqrt(rate * (1 - rate) / count) + 0.005) << rate;
    if (rate > 0) {
      EXPECT_LT(least, 30u);
    }
  }
}

TEST(PretrainingRows, SharesOfSources) {
  const TemporaryFolder folder;
  const auto large = numbered_cache(folder, "large", random_documents(300, 1));
  const auto small = numbered_cache(folder, "small", random_documents(100, 2), 300);
  const auto tiny = numbered_cache(folder, "tiny", random_documents(20, 3), 400);
  const PretrainingRows rows({{"large", large, 1}, {"small", small, 2.5}, {"tiny", tiny, 0.5}}, kCls, kSep,
                             {.max_length = 64});
  const double sizes[] = {static_cast<double>(rows.rows_of(0)), 2.5 * static_cast<double>(rows.rows_of(1)),
                          0.5 * static_cast<double>(rows.rows_of(2))};
  const double total = sizes[0] + sizes[1] + sizes[2];
  EXPECT_EQ(rows.rows_per_epoch(), std::llround(total));
  double times[3] = {};
  const TokenCache* caches[] = {large.get(), small.get(), tiny.get()};
  const size_t first[] = {0, 300, 400};
  for (int64_t number = 0; number < 10000; ++number) {
    const PretrainingRow row = rows.row(number);
    times[row.source] += 1;
    checked(row, *caches[row.source], 64, true, first[row.source]);
    // At any moment, not only in the end, a source has had its share.
    if (number == 99) {
      EXPECT_NEAR(times[1], 100 * sizes[1] / total, 1.5);
    }
  }
  for (int s = 0; s < 3; ++s) EXPECT_NEAR(times[s] / 10000, sizes[s] / total, 0.002) << s;
}

TEST(PretrainingRows, EachSourceGoesThroughAllItsRows) {
  const TemporaryFolder folder;
  const auto large = numbered_cache(folder, "large", random_documents(200, 1));
  const auto small = numbered_cache(folder, "small", random_documents(40, 2), 200);
  const PretrainingRows rows({{"large", large, 1}, {"small", small, 3}}, kCls, kSep,
                             {.max_length = 64, .objective = SentenceObjective::kNone});
  std::map<int64_t, int> begins[2];
  for (int64_t number = 0; number < 2 * rows.rows_per_epoch(); ++number) {
    const PretrainingRow row = rows.row(number);
    ++begins[row.source][row.begin[0]];
  }
  for (int s = 0; s < 2; ++s) {
    EXPECT_EQ(static_cast<int64_t>(begins[s].size()), rows.rows_of(static_cast<size_t>(s)));
    int least = 1 << 20, most = 0;
    for (const auto& [begin, times] : begins[s]) least = std::min(least, times), most = std::max(most, times);
    EXPECT_LE(most - least, 1) << "source " << s;
  }
}

TEST(PretrainingRows, AreFunctionsOfTheirNumberAndSeed) {
  const TemporaryFolder folder;
  const auto cache = numbered_cache(folder, "a", random_documents(100, 1));
  const PretrainingRows rows({{"a", cache}}, kCls, kSep, {.max_length = 64});
  const PretrainingRows again({{"a", cache}}, kCls, kSep, {.max_length = 64});
  const PretrainingRows other({{"a", cache}}, kCls, kSep, {.max_length = 64, .seed = 1});
  std::vector<PretrainingRow> forward;
  for (int64_t number = 0; number < 500; ++number) forward.push_back(rows.row(number));
  int64_t equal = 0;
  for (int64_t number = 499; number >= 0; --number) {
    EXPECT_TRUE(same(rows.row(number), forward[static_cast<size_t>(number)])) << number;
    EXPECT_TRUE(same(again.row(number), forward[static_cast<size_t>(number)])) << number;
    equal += same(other.row(number), forward[static_cast<size_t>(number)]) ? 1 : 0;
  }
  EXPECT_LT(equal, 25);
  EXPECT_FALSE(rows.row(int64_t{1} << 40).ids.empty()) << "the sequence has no end";
}

TEST(PretrainingRows, TinyCorpora) {
  const TemporaryFolder folder;
  // Two documents of one word and of two sentences; no document is held out.
  const auto cache = numbered_cache(folder, "a", {{1, 1}, {2, 3}});
  const PretrainingRows rows({{"a", cache}}, kCls, kSep, {.max_length = 8});
  EXPECT_EQ(rows.heldout_rows(), 0);
  double ones = 0;
  for (int64_t number = 0; number < 400; ++number) {
    const PretrainingRow row = rows.row(number);
    checked(row, *cache, 8, true);
    ones += row.label;
  }
  EXPECT_NEAR(ones, 200, 50);
  // A sentence without end.
  const auto endless = numbered_cache(folder, "b", {{5000}, {5000}});
  const PretrainingRows cut({{"b", endless}}, kCls, kSep, {.max_length = 16});
  EXPECT_GT(cut.rows_of(0), 10000 / (4 * 16 + 1));
  for (int64_t number = 0; number < cut.rows_of(0); ++number) checked(cut.row(number), *endless, 16, true);
}

TEST(PretrainingRows, WhatCannotBe) {
  const TemporaryFolder folder;
  const auto one = numbered_cache(folder, "one", {{5, 5}}), two = numbered_cache(folder, "two", {{5, 5}, {5, 5}});
  const auto error = [&](std::vector<PretrainingSource> sources, const PretrainingRowOptions& options) {
    return error_of([&] { PretrainingRows(std::move(sources), kCls, kSep, options); });
  };
  constexpr const char* kOneDocument =
      "value: one is one document, and next-sentence prediction takes its false pairs from others: part documents by "
      "blank lines, give --documents line where each line is one, or --objective mlm";
  EXPECT_EQ(error({{"one", one}}, {}), kOneDocument);
  EXPECT_EQ(error({{"two", two}, {"one", one}}, {}), kOneDocument);
  EXPECT_EQ(error({{"one", one}}, {.objective = SentenceObjective::kNone}), "no error");
  EXPECT_EQ(error({{"one", one}}, {.objective = SentenceObjective::kOrder}), "no error");
  const auto half = numbered_cache(folder, "half", {{5, 5}, {1}});
  EXPECT_THAT(error({{"half", half}}, {}), testing::HasSubstr("value: half is one document")) << "one word is no row";
  const auto word = numbered_cache(folder, "word", {{1}, {1}});
  EXPECT_EQ(error({{"word", word}}, {}), "value: word: the text is too short for a row");
  EXPECT_THAT(error({}, {}), testing::HasSubstr("usage: "));
  EXPECT_THAT(error({{"two", two}}, {.max_length = 7}), testing::HasSubstr("usage: --max-length of pretraining"));
  EXPECT_THAT(error({{"two", two}}, {.short_rate = 1.1}), testing::HasSubstr("usage: --short-rate"));
  EXPECT_THAT(error({{"two", two}}, {.heldout_share = 0.6}), testing::HasSubstr("usage: --heldout"));
  for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL, 1e300})
    EXPECT_THAT(error({{"two", two, weight}}, {}), testing::HasSubstr("usage: the weight of two must be above 0"));
  EXPECT_THAT(error({{"two", two}, {"2", two, 1e-5}}, {}), testing::HasSubstr("less than a thousandth of the rows"));
  EXPECT_EQ(parse_objective("mlm,nsp"), SentenceObjective::kNext);
  EXPECT_EQ(parse_objective("mlm,sop"), SentenceObjective::kOrder);
  EXPECT_EQ(parse_objective("mlm"), SentenceObjective::kNone);
  EXPECT_THAT(error_of([] { parse_objective("nsp"); }), testing::HasSubstr("usage: --objective must be mlm"));
}

}  // namespace
}  // namespace cloze
