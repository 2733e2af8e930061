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
enum Decision : uint32_t { kShortLength = 1, kSplit = 2, kPairLabel = 3, kOther = 4, kOtherSplit = 5, kCut = 6 };

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
  CLOZE_CHECK(!sources_.empty(), ErrorCode::kUsage, "pretraining needs a corpus");
  constexpr double kMostWeight = 1e6;
  double total = 0;
  std::vector<double> shares;
  for (size_t s = 0; s < sources_.size(); ++s) {
    CLOZE_CHECK(sources_[s].weight > 0 && sources_[s].weight <= kMostWeight, ErrorCode::kUsage,
                "the weight of {} must be above 0 and at most {}, got {}", sources_[s].name, kMostWeight,
                sources_[s].weight);
    cut(s);
    const Chunks& train = train_[s];
    CLOZE_CHECK(!train.empty(), ErrorCode::kValue, "{}: the text is too short for a row", sources_[s].name);
    CLOZE_CHECK(options_.objective != SentenceObjective::kNext || train.front().document != train.back().document,
                ErrorCode::kValue,
                "{} is one document, and next-sentence prediction takes its false pairs from others: part documents by "
                "blank lines, give --documents line where each line is one, or --objective mlm",
                sources_[s].name);
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
  int64_t held = static_cast<int64_t>(static_cast<double>(documents) * options_.heldout_share);
  // False pairs of held-out rows need a second held-out document.
  if (options_.heldout_share > 0 && held < 2) held = documents >= 8 ? 2 : 0;
  Chunks& train = train_.emplace_back();
  Chunks& heldout = heldout_.emplace_back();
  uint64_t& training_tokens = training_tokens_.emplace_back(0);
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
    if (ends_document && ++document == documents - held) training_tokens = i + 1;
  }
}

/// Shortens the longer of two runs, at its front or back by turns of `random`, until both fit.
void PretrainingRows::truncate_pair(Run& first, Run& second, int64_t room, uint64_t random) {
  while (first.size() + second.size() > room) {
    Run& longer = first.size() > second.size() ? first : second;
    if ((random & 1) != 0)
      ++longer.begin;
    else
      --longer.end;
    random = random >> 1 | random << 63;
  }
}

/// Where the second segment of a chunk begins: at a sentence, any of them alike; within the only sentence at a word; at
/// any token where there is no word either. Kinds before `best` are passed over.
PretrainingRows::Split PretrainingRows::split_chunk(const Run& chunk, uint64_t random, Split::Kind best) const {
  const uint32_t* begin = chunk.begin;
  const uint64_t tokens = static_cast<uint64_t>(chunk.size());
  for (const Split::Kind kind : {Split::kSentence, Split::kWord}) {
    if (kind < best) continue;
    const auto starts = [&](uint64_t i) {
      const bool after_sentence = (begin[i - 1] & CachedToken::kEndsSentence) != 0;
      return kind == Split::kSentence ? after_sentence : !after_sentence && (begin[i] & CachedToken::kBeginsWord) != 0;
    };
    uint64_t count = 0;
    for (uint64_t i = 1; i < tokens; ++i) count += starts(i) ? 1 : 0;
    if (count == 0) continue;
    uint64_t left = below(random, count);
    for (uint64_t i = 1; i < tokens; ++i)
      if (starts(i) && left-- == 0) return {i, kind};
  }
  return {1 + below(random, tokens - 1), Split::kToken};
}

/// The tokens from `begin`, within their document, whose number is nearest to `wanted` and not less than `least`, where
/// there are so many. With whole_sentences they end as a sentence does, unless one goes on for too long.
PretrainingRows::Run PretrainingRows::fit(const uint32_t* begin, const uint32_t* end, int64_t wanted, int64_t least,
                                          bool whole_sentences) const {
  Run best{begin, begin};
  int64_t length = 0;
  for (const uint32_t* token = begin; token != end; ++token) {
    ++length;
    const bool document_ends = (*token & CachedToken::kEndsDocument) != 0;
    const bool may_end =
        whole_sentences ? (*token & CachedToken::kEndsSentence) != 0 || length > wanted + 4 * room() : length == wanted;
    if (document_ends || may_end) {
      const bool nearer = best.size() < least || std::abs(length - wanted) < std::abs(best.size() - wanted);
      if (nearer) best.end = token + 1;
      if (document_ends || length >= std::max(wanted, least)) break;
    }
  }
  return best;
}

/// A second segment from another document for the first one of `chunk`: of some random places the first, or else the
/// best one, that has about as many tokens as the true second segment, fills the row if that does, and begins and ends
/// at a sentence if that does. A model (or a rule) that looks at lengths and full stops alone learns nothing from it.
/// Gives the document.
int64_t PretrainingRows::false_second(size_t source, const Chunks& chunks, const Chunk& chunk, const Split& split,
                                      uint64_t seed, uint64_t number, Run& second) const {
  const std::span<const uint32_t> tokens = sources_[source].cache->tokens();
  const uint32_t* tokens_end = tokens.data() + tokens.size();
  const int64_t size = chunk.tokens, first = static_cast<int64_t>(split.at), wanted = size - first;
  const int64_t least = size >= room() ? std::max<int64_t>(1, room() - first) : 1;
  const bool whole_sentences = (tokens[chunk.begin + chunk.tokens - 1] & CachedToken::kEndsSentence) != 0;
  constexpr int kTries = 48;
  int64_t least_cost = -1, document = chunk.document;
  for (int tries = 0; tries <= kTries; ++tries) {
    const uint64_t salt = seed ^ static_cast<uint64_t>(tries) << 40;
    const Chunk* other = &chunks[below(random_word(salt, kOther, number), chunks.size())];
    if (tries == kTries) {  // other documents are rare: the next one that is there
      if (least_cost >= 0) break;
      const Chunk *begin = chunks.data(), *end = begin + chunks.size(), *from = other;
      while (other->document == chunk.document && (other = other + 1 == end ? begin : other + 1) != from) {
      }
    }
    if (other->document == chunk.document) continue;
    const uint32_t* begin = tokens.data() + other->begin;
    const Split found = split_chunk({begin, begin + other->tokens}, random_word(salt, kOtherSplit, number), split.kind);
    const Run run = fit(begin + found.at, tokens_end, wanted, least, whole_sentences);
    int64_t cost = std::abs(run.size() - wanted);
    if (run.size() < least) cost += room();
    if (found.kind != split.kind) cost += 4 * room();
    if (least_cost >= 0 && cost >= least_cost) continue;
    least_cost = cost;
    second = run;
    document = other->document;
    if (cost <= wanted / 16) break;
  }
  return document;
}

PretrainingRow PretrainingRows::make_row(size_t source, const Chunks& chunks, uint64_t at, uint64_t seed,
                                         uint64_t number) const {
  const uint32_t* tokens = sources_[source].cache->tokens().data();
  const Chunk& chunk = chunks[at];
  Run first{tokens + chunk.begin, tokens + chunk.begin + chunk.tokens}, second;
  int64_t documents[2] = {chunk.document, chunk.document};
  int32_t label = -1;
  if (options_.objective == SentenceObjective::kNone) {
    first.end = std::min(first.end, first.begin + room());
  } else {
    const Split split = split_chunk(first, random_word(seed, kSplit, number), Split::kSentence);
    second = {first.begin + split.at, first.end};
    first.end = second.begin;
    label = static_cast<int32_t>(random_word(seed, kPairLabel, number) >> 63);
    if (label == 1 && options_.objective == SentenceObjective::kOrder) std::swap(first, second);
    if (label == 1 && options_.objective == SentenceObjective::kNext) {
      documents[1] = false_second(source, chunks, chunk, split, seed, number, second);
      if (documents[1] == documents[0]) label = 0;  // all held-out rows are of one document
    }
    truncate_pair(first, second, room(), random_word(seed, kCut, number));
  }
  PretrainingRow row = join(first, second);
  row.label = label;
  row.source = source;
  row.begin[0] = first.begin - tokens;
  row.begin[1] = second.begin == nullptr ? row.begin[0] : second.begin - tokens;
  std::ranges::copy(documents, row.document);
  return row;
}

/// [CLS] first [SEP] second [SEP]; the second may be nothing.
PretrainingRow PretrainingRows::join(const Run& first, const Run& second) const {
  PretrainingRow row;
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
