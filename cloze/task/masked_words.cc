#include "cloze/task/masked_words.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/thread_team.h"
#include "cloze/task/batches.h"

namespace cloze {
namespace {

constexpr size_t kMostTokens = 4096;  // as token_batches(): bounds the activations
constexpr int64_t kMostLogitRows = 256;

Tensor ints(const std::vector<int32_t>& values) {
  return Tensor::of(Shape({static_cast<int64_t>(values.size())}), values);
}

/// One batch: asked[order[begin..end)], which are sorted by sequence.
void visit_batch(const PretrainingModel& model, const std::vector<TokenSequence>& sequences,
                 std::span<const AskedToken> asked, std::span<const size_t> order,
                 const std::function<void(size_t, std::span<const float>)>& visit) {
  std::vector<int64_t> picked;
  std::vector<int32_t> rows, offsets;
  int32_t begin = 0;
  for (const size_t i : order) {
    const AskedToken& token = asked[i];
    if (picked.empty() || picked.back() != static_cast<int64_t>(token.sequence)) {
      if (!picked.empty()) begin += static_cast<int32_t>(sequences[static_cast<size_t>(picked.back())].ids.size());
      offsets.push_back(static_cast<int32_t>(rows.size()));
      picked.push_back(static_cast<int64_t>(token.sequence));
    }
    rows.push_back(begin + token.position);
  }
  offsets.push_back(static_cast<int32_t>(rows.size()));
  ForwardContext context;
  const Var hidden = model.bert().forward_at(join_sequences(sequences, picked), {ints(rows), ints(offsets)}, context);
  const int64_t R = static_cast<int64_t>(rows.size());
  for (int64_t first = 0; first < R; first += kMostLogitRows) {
    const int64_t last = std::min(R, first + kMostLogitRows);
    std::vector<int32_t> chunk(static_cast<size_t>(last - first));
    std::iota(chunk.begin(), chunk.end(), static_cast<int32_t>(first));
    const Tensor logits = model.masked_logits(hidden, ints(chunk)).value();  // [chunk,V]
    const size_t V = static_cast<size_t>(logits.shape()[1]);
    thread_team().for_ranges(last - first, 1, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r)
        visit(order[static_cast<size_t>(first + r)], {logits.data<float>() + static_cast<size_t>(r) * V, V});
    });
  }
}

/// log sum exp, and the largest.
std::pair<double, double> normaliser(std::span<const float> logits) {
  const double most = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return {std::log(sum), most};
}

}  // namespace

void visit_masked_logits(const PretrainingModel& model, const std::vector<TokenSequence>& sequences,
                         std::span<const AskedToken> asked,
                         const std::function<void(size_t, std::span<const float>)>& visit) {
  const NoGrad no_grad;
  std::vector<size_t> order(asked.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return std::pair(asked[a].sequence, asked[a].position) < std::pair(asked[b].sequence, asked[b].position);
  });
  const std::span<const size_t> all = order;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin, tokens = 0;
    while (end < order.size()) {
      const size_t sequence = asked[order[end]].sequence, more = sequences[sequence].ids.size();
      if (end > begin && tokens + more > kMostTokens) break;
      tokens += more;
      while (end < order.size() && asked[order[end]].sequence == sequence) ++end;
    }
    visit_batch(model, sequences, asked, all.subspan(begin, end - begin), visit);
    begin = end;
  }
}

std::vector<RankedWord> best_words(std::span<const float> logits, int64_t words, int64_t count) {
  std::vector<int32_t> ids(std::min(logits.size(), static_cast<size_t>(words)));
  std::iota(ids.begin(), ids.end(), 0);
  const auto best = ids.begin() + std::min(count, static_cast<int64_t>(ids.size()));
  const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  std::partial_sort(ids.begin(), best, ids.end(),
                    [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  const auto [log_sum, most] = normaliser(logits);
  std::vector<RankedWord> result;
  for (auto id = ids.begin(); id != best; ++id)
    result.push_back({*id, static_cast<float>(std::exp(static_cast<double>(logit(*id)) - most - log_sum))});
  return result;
}

WordScore score_word(std::span<const float> logits, int32_t id) {
  const size_t at = static_cast<size_t>(id);
  int64_t rank = 0;
  for (size_t i = 0; i < logits.size(); ++i) rank += logits[i] > logits[at] || (logits[i] == logits[at] && i < at);
  const auto [log_sum, most] = normaliser(logits);
  return {static_cast<double>(logits[at]) - most - log_sum, rank};
}

}  // namespace cloze
