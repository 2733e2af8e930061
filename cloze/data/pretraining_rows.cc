#include "cloze/data/pretraining_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/data/permutation.h"

namespace cloze {
namespace {

/// Which decisions a block of random numbers is for (the substream).
enum Decision : uint32_t { kShortLength = 1, kSplit = 2, kLabel = 3, kOther = 4, kOtherSplit = 5, kCut = 6 };

uint64_t random_word(uint64_t seed, Decision decision, uint64_t index) {
  const auto words = philox(seed, static_cast<uint32_t>(RandomStream::kData), decision, index);
  return uint64_t{words[0]} << 32 | words[1];
}

double uniform(uint64_t random) {
  return static_cast<double>(random >> 11) * 0x1.0p-53;
}
/// In [0, n), n < 2^53.
uint64_t below(uint64_t random, uint64_t n) {
  return static_cast<uint64_t>(uniform(random) * static_cast<double>(n));
}

/// Some tokens of a cache.
struct Run {
  const uint32_t* begin;
  const uint32_t* end;
  int64_t size() const { return end - begin; }
};

/// Shortens the longer of two runs, at its front or back by turns of `random`, until both fit.
void truncate_pair(Run& first, Run& second, int64_t room, uint64_t random) {
  while (first.size() + second.size() > room) {
    Run& longer = first.size() > second.size() ? first : second;
    if ((random & 1) != 0)
      ++longer.begin;
    else
      --longer.end;
    random = random >> 1 | random << 63;
  }
}

}  // namespace

SentenceObjective parse_objective(const std::string& name) {
  if (name == "mlm") return SentenceObjective::kNone;
  if (name == "mlm,nsp") return SentenceObjective::kNext;
  if (name == "mlm,sop") return SentenceObjective::kOrder;
  fail(ErrorCode::kUsage, "--objective must be mlm, \"mlm,nsp\" or \"mlm,sop\", got \"{}\"{}", name,
       did_you_mean(name, {"mlm", "mlm,nsp", "mlm,sop"}));
}

int64_t PretrainingRows::room() const {
  return options_.max_length - (options_.objective == SentenceObjective::kNone ? 2 : 3);
}

PretrainingRows::PretrainingRows(std::vector<PretrainingSource> sources, int32_t cls_id, int32_t sep_id,
                                 const PretrainingRowOptions& options)
    : sources_(std::move(sources)), cls_id_(cls_id), sep_id_(sep_id), options_(options) {
  CLOZE_CHECK(options.max_length >= 8, ErrorCode::kUsage, "--max-length of pretraining must be at least 8, got {}",
              options.max_length);
  CLOZE_CHECK(options.short_rate >= 0 && options.short_rate <= 1, ErrorCode::kUsage,
              "--short-rate must be 0 to 1, got {}", options.short_rate);
  CLOZE_CHECK(options.heldout_share >= 0 && options.heldout_share <= 0.5, ErrorCode::kUsage,
              "--heldout must be 0 to 0.5, got {}", options.heldout_share);
  double total = 0;
  std::vector<double> shares;
  for (size_t s = 0; s < sources_.size(); ++s) {
    CLOZE_CHECK(sources_[s].weight > 0 && std::isfinite(sources_[s].weight), ErrorCode::kUsage,
                "the weight of {} must be above 0, got {}", sources_[s].name, sources_[s].weight);
    cut(s);
    CLOZE_CHECK(!train_[s].empty(), ErrorCode::kValue, "{}: the text is too short for a row", sources_[s].name);
    shares.push_back(static_cast<double>(train_[s].size()) * sources_[s].weight);
    total += shares.back();
    heldout_rows_ += static_cast<int64_t>(heldout_[s].size());
  }
  rows_per_epoch_ = std::max<int64_t>(1, std::llround(total));
  // Places for the sources in a pattern, spread evenly: the next place goes to whoever is furthest behind its share.
  const size_t size = sources_.size() == 1 ? 1 : 1000;
  places_.assign(sources_.size(), 0);
  for (size_t n = 0; n < size; ++n) {
    size_t next = 0;
    double most = -1;
    for (size_t s = 0; s < sources_.size(); ++s) {
      const double behind = shares[s] / total * static_cast<double>(n + 1) - places_[s];
      if (behind > most) most = behind, next = s;
    }
    pattern_.push_back(static_cast<uint32_t>(next));
    rank_.push_back(places_[next]++);
  }
  for (size_t s = 0; s < sources_.size(); ++s)
    CLOZE_CHECK(places_[s] > 0, ErrorCode::kUsage,
                "{} would be less than a thousandth of the rows; raise its weight or leave it out", sources_[s].name);
}

void PretrainingRows::cut(size_t source) {
  const std::span<const uint32_t> tokens = sources_[source].cache->tokens();
  const int64_t documents = sources_[source].cache->counts().documents;
  const bool needs_others = options_.objective == SentenceObjective::kNext;
  CLOZE_CHECK(!needs_others || documents > 1, ErrorCode::kValue,
              "{} is one document, and next-sentence prediction takes its false pairs from others: part documents by "
              "blank lines, give --documents line where each line is one, or --objective mlm",
              sources_[source].name);
  int64_t held = static_cast<int64_t>(static_cast<double>(documents) * options_.heldout_share);
  // False pairs of held-out rows need a second held-out document.
  if (options_.heldout_share > 0 && held < 2) held = documents >= 8 ? 2 : 0;
  Chunks& train = train_.emplace_back();
  Chunks& heldout = heldout_.emplace_back();
  uint32_t document = 0;
  uint64_t begin = 0, number = 0;
  int64_t wanted = 0;
  for (uint64_t i = 0; i < tokens.size(); ++i) {
    if (i == begin) {
      const uint64_t random = random_word(options_.seed + source, kShortLength, number++);
      constexpr int64_t kShortest = 5;
      wanted = room();
      if (uniform(random) < options_.short_rate)
        wanted =
            std::min<int64_t>(room(), kShortest) +
            static_cast<int64_t>(below(random << 32, static_cast<uint64_t>(std::max<int64_t>(1, room() - kShortest))));
    }
    const int64_t length = static_cast<int64_t>(i + 1 - begin);
    const bool ends_document = (tokens[i] & CachedToken::kEndsDocument) != 0;
    // Without pairs a row may end anywhere; with pairs at a sentence, but no sentence may be longer than four rows.
    const bool may_end = options_.objective == SentenceObjective::kNone || length >= 4 * room() ||
                         (tokens[i] & CachedToken::kEndsSentence) != 0;
    if (ends_document || (length >= wanted && may_end)) {
      if (length >= 2) {
        Chunks& chunks = static_cast<int64_t>(document) < documents - held ? train : heldout;
        chunks.push_back({begin, static_cast<uint32_t>(length), document});
      }
      begin = i + 1;
    }
    if (ends_document) ++document;
  }
}

/// Where the second segment of a chunk begins: at a sentence, any of them alike; within the only sentence at a word; at
/// any token where there is no word either.
uint64_t PretrainingRows::split_point(const uint32_t* tokens, const Chunk& chunk, uint64_t random) const {
  const uint32_t* begin = tokens + chunk.begin;
  for (const uint32_t flag : {CachedToken::kEndsSentence, CachedToken::kBeginsWord}) {
    const auto starts = [&](uint32_t i) {
      return flag == CachedToken::kEndsSentence ? (begin[i - 1] & flag) != 0 : (begin[i] & flag) != 0;
    };
    uint64_t count = 0;
    for (uint32_t i = 1; i < chunk.tokens; ++i) count += starts(i) ? 1 : 0;
    if (count == 0) continue;
    uint64_t left = below(random, count);
    for (uint32_t i = 1; i < chunk.tokens; ++i)
      if (starts(i) && left-- == 0) return i;
  }
  return 1 + below(random, chunk.tokens - 1);
}

PretrainingRow PretrainingRows::make_row(size_t source, const Chunks& chunks, uint64_t at, uint64_t seed,
                                         uint64_t number) const {
  const uint32_t* tokens = sources_[source].cache->tokens().data();
  const uint32_t* tokens_end = tokens + sources_[source].cache->tokens().size();
  const Chunk& chunk = chunks[at];
  Run first{tokens + chunk.begin, tokens + chunk.begin + chunk.tokens}, second{nullptr, nullptr};
  PretrainingRow row;
  row.source = source;
  row.document[0] = row.document[1] = chunk.document;
  if (options_.objective == SentenceObjective::kNone) {
    first.end = std::min(first.end, first.begin + room());
  } else {
    const uint64_t split = split_point(tokens, chunk, random_word(seed, kSplit, number));
    second = {first.begin + split, first.end};
    first.end = second.begin;
    row.label = static_cast<int32_t>(random_word(seed, kLabel, number) >> 63);
    if (row.label == 1 && options_.objective == SentenceObjective::kOrder) std::swap(first, second);
    if (row.label == 1 && options_.objective == SentenceObjective::kNext) {
      // The second half of another chunk, which looks like any second half, and then as much as fits.
      const Chunk* other = &chunk;
      for (int tries = 0; tries < 100 && other->document == chunk.document; ++tries)
        other = &chunks[below(random_word(seed ^ static_cast<uint64_t>(tries) << 40, kOther, number), chunks.size())];
      for (size_t i = 0; other->document == chunk.document && i < chunks.size(); ++i) other = &chunks[i];
      if (other->document == chunk.document) {
        row.label = 0;  // all rows are of one document
      } else {
        second.begin = tokens + other->begin + split_point(tokens, *other, random_word(seed, kOtherSplit, number));
        second.end = second.begin;
        const int64_t wanted = std::max<int64_t>(1, static_cast<int64_t>(chunk.tokens) - first.size());
        while (second.end < tokens_end && second.size() < wanted)
          if ((*second.end++ & CachedToken::kEndsDocument) != 0) break;
        row.document[1] = other->document;
      }
    }
    truncate_pair(first, second, room(), random_word(seed, kCut, number));
  }
  row.begin[0] = first.begin - tokens;
  row.begin[1] = second.begin == nullptr ? row.begin[0] : second.begin - tokens;
  const auto put = [&](int32_t id, bool begins, int32_t segment) {
    row.ids.push_back(id);
    row.begins_word.push_back(begins ? 1 : 0);
    row.segments.push_back(segment);
  };
  put(cls_id_, true, 0);
  int32_t segment = 0;
  for (const Run& run : {first, second}) {
    if (run.begin == nullptr) break;
    for (const uint32_t* token = run.begin; token != run.end; ++token)
      put(static_cast<int32_t>(*token & CachedToken::kId), (*token & CachedToken::kBeginsWord) != 0, segment);
    put(sep_id_, true, segment);
    segment = 1;
  }
  return row;
}

PretrainingRow PretrainingRows::row(int64_t number) const {
  const uint64_t n = static_cast<uint64_t>(number);
  const size_t place = n % pattern_.size();
  const size_t source = pattern_[place];
  const Chunks& chunks = train_[source];
  const uint64_t turn = n / pattern_.size() * places_[source] + rank_[place];
  const uint64_t epoch = turn / chunks.size();
  const Permutation order(chunks.size(), options_.seed + source, RandomStream::kShuffle, epoch);
  return make_row(source, chunks, order(turn % chunks.size()), options_.seed, n);
}

PretrainingRow PretrainingRows::heldout_row(int64_t number) const {
  CLOZE_CHECK(number >= 0 && number < heldout_rows_, ErrorCode::kInternal, "held-out row {} of {}", number,
              heldout_rows_);
  // Spread over the sources and over each one's rows, so that the first few stand for all.
  const Permutation order(static_cast<uint64_t>(heldout_rows_), 1, RandomStream::kShuffle, 0);
  uint64_t at = order(static_cast<uint64_t>(number));
  size_t source = 0;
  while (at >= heldout_[source].size()) at -= heldout_[source++].size();
  return make_row(source, heldout_[source], at, ~options_.seed, static_cast<uint64_t>(number));
}

}  // namespace cloze
