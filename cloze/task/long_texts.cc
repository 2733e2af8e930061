#include "cloze/task/long_texts.h"

#include <algorithm>

#include "cloze/text/truncation.h"

namespace cloze {
namespace {

constexpr std::pair<const char*, LongTexts> kNames[] = {
    {"truncate", LongTexts::kTruncate}, {"head-tail", LongTexts::kHeadTail}, {"window", LongTexts::kWindow}};

using Pieces = std::span<const int32_t>;

LongTexts parse_long_texts(const std::string& name) {
  for (const auto& [known, value] : kNames)
    if (name == known) return value;
  fail(ErrorCode::kUsage, "--long must be truncate, head-tail or window, got \"{}\"", name);
}

/// A sequence under construction: [CLS] first [SEP], or [CLS] first [SEP] second [SEP].
class Builder {
 public:
  Builder(const Vocabulary& vocabulary, size_t tokens) : sep_(vocabulary.sep_id()) {
    sequence_.ids.reserve(tokens);
    sequence_.ids.push_back(vocabulary.cls_id());
  }
  Builder& add(Pieces pieces) {
    sequence_.ids.insert(sequence_.ids.end(), pieces.begin(), pieces.end());
    return *this;
  }
  Builder& end_text(int32_t segment) {
    sequence_.ids.push_back(sep_);
    sequence_.segments.resize(sequence_.ids.size(), segment);
    return *this;
  }
  TokenSequence take() { return std::move(sequence_); }

 private:
  int32_t sep_;
  TokenSequence sequence_;
};

/// The beginning and the end of a text, `room` pieces in all.
std::pair<Pieces, Pieces> head_and_tail(Pieces pieces, size_t room) {
  if (pieces.size() <= room) return {pieces, {}};
  const size_t head = (room + 3) / 4;
  return {pieces.first(head), pieces.last(room - head)};
}

/// The places of windows of `room` pieces that overlap by `stride`: the last one ends where the text does.
std::vector<Pieces> windows_of(Pieces pieces, size_t room, size_t stride) {
  std::vector<Pieces> result;
  const size_t step = room - std::min(stride, room - 1);
  for (size_t begin = 0;; begin += step) {
    const size_t length = std::min(room, pieces.size() - begin);
    result.push_back(pieces.subspan(begin, length));
    if (begin + length == pieces.size()) return result;
  }
}

TruncationPlan plan(Pieces first, const std::optional<Pieces>& second, int64_t max_length) {
  const auto size = [](Pieces p) { return static_cast<int64_t>(p.size()); };
  return plan_truncation(size(first), second ? std::optional(size(*second)) : std::nullopt, second ? 3 : 2,
                         {.strategy = TruncationStrategy::kLongestFirst, .max_length = max_length});
}

int64_t append_windows(Pieces first, const std::optional<Pieces>& second, const RowLimits& limits,
                       const Vocabulary& vocabulary, std::vector<TokenSequence>& out) {
  const size_t tokens = static_cast<size_t>(limits.max_length), stride = static_cast<size_t>(limits.stride);
  if (!second) {
    for (const Pieces window : windows_of(first, tokens - 2, stride))
      out.push_back(Builder(vocabulary, tokens).add(window).end_text(0).take());
    return 0;
  }
  const size_t room = tokens - 3;
  const bool split_first = first.size() > second->size();
  const Pieces whole = split_first ? *second : first, split = split_first ? first : *second;
  const Pieces kept = whole.first(std::min(whole.size(), room / 2));
  for (const Pieces window : windows_of(split, room - kept.size(), stride))
    out.push_back(Builder(vocabulary, tokens)
                      .add(split_first ? window : kept)
                      .end_text(0)
                      .add(split_first ? kept : window)
                      .end_text(1)
                      .take());
  return static_cast<int64_t>(whole.size() - kept.size());
}

}  // namespace

RowLimits resolve_limits(const LengthOptions& wanted, const Tokenizer& tokenizer, const BertConfig& config,
                         const std::string& where) {
  const int64_t positions = config.max_position_embeddings;
  RowLimits limits;
  limits.max_length = wanted.max_length != 0 ? wanted.max_length : json_int_or(config.cloze, "max_length", 0, where);
  if (limits.max_length == 0)
    limits.max_length = std::min(positions, tokenizer.options().model_max_length.value_or(positions));
  if (wanted.max_length == 0)
    CLOZE_CHECK(limits.max_length >= 3 && limits.max_length <= positions, ErrorCode::kFormat,
                "{}: {} must be 3 to {}, found {}", where,
                config.cloze.contains("max_length") ? "\"cloze\": \"max_length\""
                                                    : "its tokenizer_config.json's \"model_max_length\"",
                positions, limits.max_length);
  CLOZE_CHECK(limits.max_length >= 3 && limits.max_length <= positions, ErrorCode::kUsage,
              "--max-length must be 3 to {} for this model, got {}", positions, limits.max_length);
  limits.long_texts = parse_long_texts(
      wanted.long_texts.empty() ? json_string_or(config.cloze, "long", "truncate", where) : wanted.long_texts);
  // A stride that was noted for another length may be too much for this one.
  const int64_t noted = wanted.max_length == 0 ? json_int_or(config.cloze, "stride", -1, where) : -1;
  limits.stride = wanted.stride >= 0 ? wanted.stride : noted >= 0 ? noted : limits.max_length / 4;
  CLOZE_CHECK(wanted.stride < 0 || limits.long_texts == LongTexts::kWindow, ErrorCode::kUsage,
              "--stride goes with --long window only");
  // Windows must move on also where half the room is taken by the other text of a pair.
  const int64_t most = std::max<int64_t>(0, (limits.max_length - 3) / 2 - 1);
  CLOZE_CHECK(limits.long_texts != LongTexts::kWindow || limits.stride <= most, ErrorCode::kUsage,
              "--stride must be 0 to {} for windows of {} tokens, got {}", most, limits.max_length, limits.stride);
  CLOZE_CHECK(limits.long_texts != LongTexts::kWindow || limits.max_length >= 8, ErrorCode::kUsage,
              "--long window needs a --max-length of at least 8, got {}", limits.max_length);
  return limits;
}

void note_limits(const RowLimits& limits, BertConfig& config) {
  config.cloze["max_length"] = limits.max_length;
  config.cloze.erase("long");
  config.cloze.erase("stride");
  if (limits.long_texts == LongTexts::kTruncate) return;
  for (const auto& [name, value] : kNames)
    if (value == limits.long_texts) config.cloze["long"] = name;
  if (limits.long_texts == LongTexts::kWindow) config.cloze["stride"] = limits.stride;
}

void LengthCounts::add(const LengthCounts& more) {
  rows += more.rows;
  truncated += more.truncated;
  windowed += more.windowed;
  windows += more.windows;
}

std::string LengthCounts::text(const RowLimits& limits) const {
  std::string result;
  if (truncated > 0)
    result = fmt::format("{} of {} rows were longer than {} tokens and {}", truncated, rows, limits.max_length,
                         limits.long_texts == LongTexts::kHeadTail ? "lost their middle" : "were cut");
  if (truncated > 0 && limits.long_texts == LongTexts::kTruncate) result += " (--long window reads all of them)";
  if (windowed > 0)
    result += fmt::format("{}{} of {} rows were read in several windows, {} in all", result.empty() ? "" : "; ",
                          windowed, rows, windows - (rows - windowed));
  return result;
}

int64_t append_sequences(Pieces first, std::optional<Pieces> second, const RowLimits& limits,
                         const Vocabulary& vocabulary, std::vector<TokenSequence>& out) {
  const TruncationPlan kept = plan(first, second, limits.max_length);
  if (kept.dropped > 0 && limits.long_texts == LongTexts::kWindow)
    return append_windows(first, second, limits, vocabulary, out);
  const auto part = [&](Pieces pieces, int64_t keep) {
    const size_t room = static_cast<size_t>(keep);
    if (limits.long_texts == LongTexts::kHeadTail) return head_and_tail(pieces, room);
    return std::pair<Pieces, Pieces>(pieces.first(room), {});
  };
  Builder builder(vocabulary, static_cast<size_t>(kept.first + kept.second) + 3);
  const auto [head, tail] = part(first, kept.first);
  builder.add(head).add(tail).end_text(0);
  if (second) {
    const auto [second_head, second_tail] = part(*second, kept.second);
    builder.add(second_head).add(second_tail).end_text(1);
  }
  out.push_back(builder.take());
  return kept.dropped;
}

}  // namespace cloze
