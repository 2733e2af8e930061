// Whether rules that know nothing of the language tell true pairs from false ones, on real text (skipped without it).
#include <gmock/gmock.h>

#include <array>
#include <iostream>
#include <map>

#include "cloze/data/pretraining_rows.h"
#include "tests/data/small_corpus.h"

namespace cloze {
namespace {

using test::TemporaryFolder;

const Path kData = Path(CLOZE_SOURCE_DIR) / "../shared/data";
constexpr int64_t kLeakRows = 20000;

/// What a rule sees of a row.
struct Seen {
  int64_t label, total, first, second;
  bool first_ends, second_begins, second_ends;  ///< with a sentence
};

/// The share of right answers of "the label that rows of this key had more often", learned on one half of the rows and
/// tried on the other.
template <class Key>
double accuracy(const std::vector<Seen>& rows, Key&& key_of) {
  std::map<int64_t, int64_t> votes;
  for (size_t i = 0; i < rows.size(); i += 2) votes[key_of(rows[i])] += rows[i].label == 1 ? 1 : -1;
  double right = 0;
  for (size_t i = 1; i < rows.size(); i += 2) right += (votes[key_of(rows[i])] > 0) == (rows[i].label == 1) ? 1 : 0;
  return right / static_cast<double>(rows.size() / 2);
}

std::vector<Seen> look(const PretrainingRows& rows, const TokenCache& cache) {
  std::vector<Seen> all;
  const auto ends = [&](int64_t at) {
    return at < 0 || (cache.tokens()[static_cast<size_t>(at)] & CachedToken::kEndsSentence) != 0;
  };
  for (int64_t number = 0; number < kLeakRows; ++number) {
    const PretrainingRow row = rows.row(number);
    int64_t second = -1;
    for (const int32_t segment : row.segments) second += segment;
    const int64_t total = static_cast<int64_t>(row.ids.size()), first = total - 3 - second;
    all.push_back({row.label, total, first, second, ends(row.begin[0] + first - 1), ends(row.begin[1] - 1),
                   ends(row.begin[1] + second - 1)});
  }
  return all;
}

void check_corpus(const std::string& name, const std::string& vocab, int64_t megabytes, int64_t max_length,
                  SentenceObjective objective = SentenceObjective::kNext, double bound = 0.53) {
  const Path corpus = kData / "corpora" / (name + ".txt.gz");
  if (!std::filesystem::exists(corpus)) GTEST_SKIP() << corpus << " is not there";
  const TemporaryFolder folder;
  std::string text;
  LineReader lines(corpus);
  while (text.size() < static_cast<size_t>(megabytes) << 20) {
    const auto line = lines.next();
    if (!line) break;
    text.append(*line) += '\n';
  }
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(Vocabulary::load(kData / "vocab" / vocab / "vocab.txt"));
  const auto cache = std::make_shared<const TokenCache>(
      TokenCache::open_or_build(folder.write("corpus.txt", text), folder.path() / "tokens", tokenizer, {}));
  const PretrainingRows rows({{name, cache}}, tokenizer.vocabulary().cls_id(), tokenizer.vocabulary().sep_id(),
                             {.max_length = max_length, .objective = objective});
  const std::vector<Seen> seen = look(rows, *cache);
  double count[2] = {}, sums[2][3] = {};
  for (const Seen& row : seen) {
    ++count[row.label];
    sums[row.label][0] += static_cast<double>(row.total);
    sums[row.label][1] += static_cast<double>(row.first);
    sums[row.label][2] += static_cast<double>(row.second);
  }
  for (int label = 0; label < 2; ++label)
    std::cout << fmt::format("{} at {}, label {}: {:.0f} rows, mean length {:.2f}, first {:.2f}, second {:.2f}\n", name,
                             max_length, label, count[label], sums[label][0] / count[label],
                             sums[label][1] / count[label], sums[label][2] / count[label]);
  const auto flags = [](const Seen& row) {
    return (row.first_ends ? 1 : 0) + (row.second_begins ? 2 : 0) + (row.second_ends ? 4 : 0);
  };
  const std::pair<const char*, double> rules[] = {
      {"length", accuracy(seen, [](const Seen& row) { return row.total; })},
      {"first length", accuracy(seen, [](const Seen& row) { return row.first; })},
      {"second length", accuracy(seen, [](const Seen& row) { return row.second; })},
      {"both lengths", accuracy(seen, [](const Seen& row) { return row.first / 8 * 64 + row.second / 8; })},
      {"sentence ends", accuracy(seen, flags)},
      {"lengths and ends",
       accuracy(seen, [&](const Seen& row) { return (row.total / 8 * 64 + row.first / 8) * 8 + flags(row); })},
  };
  for (const auto& [rule, right] : rules) {
    std::cout << fmt::format("{} at {}: by {}: {:.4f}\n", name, max_length, rule, right);
    EXPECT_LT(right, bound) << rule;
  }
}

TEST(SlowPretrainingLeak, English) {
  check_corpus("enwiki", "bert-base-uncased", 6, 128);
}
TEST(SlowPretrainingLeak, EnglishLong) {
  check_corpus("enwiki", "bert-base-uncased", 10, 512);
}
TEST(SlowPretrainingLeak, Chinese) {
  check_corpus("zhwiki", "bert-base-chinese", 4, 128);
}
// Where one sentence fills a row it is parted within, and its end shows which half came last (0.56 on the whole).
TEST(SlowPretrainingLeak, SentenceOrder) {
  check_corpus("enwiki", "bert-base-uncased", 6, 128, SentenceObjective::kOrder, 0.58);
}

}  // namespace
}  // namespace cloze
