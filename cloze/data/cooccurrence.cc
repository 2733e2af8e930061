#include "cloze/data/cooccurrence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/thread_team.h"
#include "cloze/data/token_cache.h"

namespace cloze {
namespace {

std::vector<double> count_tokens(std::span<const WeightedTokens> texts, const CooccurrenceOptions& options) {
  std::vector<double> frequency(options.vocabulary, 0.0);
  for (const WeightedTokens& text : texts) {
    std::vector<int64_t> counts(options.vocabulary, 0);
    for (const uint32_t token : text.tokens) {
      const int64_t id = token & CachedToken::kId;
      CLOZE_CHECK(id < options.vocabulary, ErrorCode::kValue, "token {} is beyond the vocabulary of {}", id,
                  options.vocabulary);
      ++counts[id];
    }
    for (int64_t id = 0; id < options.vocabulary; ++id) frequency[id] += text.weight * static_cast<double>(counts[id]);
  }
  return frequency;
}

/// The column of each id, -1 for ids that have none: the most frequent ones have, of equal ones the lower.
std::vector<int32_t> choose_columns(const std::vector<double>& frequency, int64_t columns) {
  std::vector<int32_t> order(frequency.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return frequency[a] > frequency[b]; });
  std::vector<int32_t> result(frequency.size(), -1);
  for (int64_t c = 0; c < columns; ++c) result[order[c]] = static_cast<int32_t>(c);
  return result;
}

/// Adds one document's pairs whose first token belongs to `worker`: no two threads write the same row.
void count_document(std::span<const uint32_t> document, const std::vector<int32_t>& column_of, int64_t columns,
                    int64_t window, int worker, int workers, std::vector<int32_t>& near, uint32_t* counts) {
  const int64_t n = static_cast<int64_t>(document.size());
  near.resize(document.size());
  for (int64_t i = 0; i < n; ++i) near[i] = column_of[document[i] & CachedToken::kId];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t id = document[i] & CachedToken::kId;
    if (id % workers != worker) continue;
    uint32_t* row = counts + id * columns;
    const int64_t end = std::min(n, i + window + 1);
    for (int64_t j = std::max<int64_t>(0, i - window); j < end; ++j)
      if (near[j] >= 0 && j != i) ++row[near[j]];
  }
}

void count_text(std::span<const uint32_t> tokens, const std::vector<int32_t>& column_of, int64_t columns,
                int64_t window, std::vector<uint32_t>& counts) {
  thread_team().run([&](int worker, int workers) {
    std::vector<int32_t> near;
    for (size_t begin = 0; begin < tokens.size();) {
      size_t end = begin;
      while (end < tokens.size() && (tokens[end] & CachedToken::kEndsDocument) == 0) ++end;
      end = std::min(end + 1, tokens.size());
      count_document(tokens.subspan(begin, end - begin), column_of, columns, window, worker, workers, near,
                     counts.data());
      begin = end;
    }
  });
}

}  // namespace

Cooccurrence count_cooccurrence(std::span<const WeightedTokens> texts, const CooccurrenceOptions& options) {
  CLOZE_CHECK(options.vocabulary > 0 && options.window > 0 && options.contexts > 0 && options.most_tokens > 0 &&
                  options.most_entries >= options.vocabulary,
              ErrorCode::kValue, "co-occurrence needs a vocabulary, a window, contexts and room for a column");
  std::vector<WeightedTokens> parts(texts.begin(), texts.end());
  for (WeightedTokens& part : parts)
    part.tokens = part.tokens.first(std::min(part.tokens.size(), static_cast<size_t>(options.most_tokens)));
  Cooccurrence result;
  result.frequency = count_tokens(parts, options);
  const int64_t V = options.vocabulary, C = std::min({options.contexts, V, options.most_entries / V});
  const std::vector<int32_t> column_of = choose_columns(result.frequency, C);
  result.counts = Tensor::full({V, C}, DType::kF32, 0.0);
  float* sums = result.counts.data<float>();
  for (const WeightedTokens& part : parts) {
    // Whole numbers first: a float stops growing at 2^24 ones.
    std::vector<uint32_t> counts(V * C, 0);
    count_text(part.tokens, column_of, C, options.window, counts);
    for (int64_t i = 0; i < V * C; ++i) sums[i] += static_cast<float>(part.weight * static_cast<double>(counts[i]));
  }
  return result;
}

void to_positive_information(Tensor& counts) {
  constexpr double kSmoothing = 0.75;
  const int64_t V = counts.shape()[0], C = counts.shape()[1];
  float* data = counts.data<float>();
  std::vector<double> column(C, 0.0);
  for (int64_t w = 0; w < V; ++w)
    for (int64_t c = 0; c < C; ++c) column[c] += data[w * C + c];
  double total = 0;
  for (double& sum : column) total += sum = std::pow(sum, kSmoothing);
  std::vector<float> log_column(C);
  for (int64_t c = 0; c < C; ++c) log_column[c] = static_cast<float>(std::log(std::max(column[c] / total, 1e-300)));
  thread_team().for_ranges(V, 16, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) {
      float* row = data + w * C;
      const double sum = std::accumulate(row, row + C, 0.0);
      const float log_row = static_cast<float>(std::log(std::max(sum, 1e-300)));
      for (int64_t c = 0; c < C; ++c)
        if (row[c] > 0) row[c] = std::max(0.0F, std::log(row[c]) - log_row - log_column[c]);
    }
  });
}

}  // namespace cloze
