#include "cloze/task/batches.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "cloze/base/thread_team.h"

namespace cloze {

std::vector<EncodedRow> encode_rows(const Tokenizer& tokenizer, std::span<const TextExample> rows, int64_t max_length) {
  std::vector<EncodedRow> result(rows.size());
  const EncodeOptions options{.truncation = {.strategy = TruncationStrategy::kLongestFirst, .max_length = max_length}};
  thread_team().for_ranges(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const TextExample& row = rows[static_cast<size_t>(i)];
      EncodedRow& encoded = result[static_cast<size_t>(i)];
      const EncodeCounts counts =
          row.text_pair ? tokenizer.encode_pair_ids(row.text, *row.text_pair, encoded.ids, encoded.segments, options)
                        : tokenizer.encode_ids(row.text, encoded.ids, options);
      encoded.segments.resize(encoded.ids.size());
      encoded.dropped = counts.dropped_tokens;
    }
  });
  return result;
}

RaggedBatch join_rows(const std::vector<EncodedRow>& rows, size_t begin, size_t end) {
  std::vector<int64_t> picked;
  for (size_t i = begin; i < end; ++i) picked.push_back(static_cast<int64_t>(i));
  return join_rows(rows, picked);
}

RaggedBatch join_rows(const std::vector<EncodedRow>& rows, std::span<const int64_t> picked) {
  std::vector<std::vector<int32_t>> ids, segments;
  for (const int64_t row : picked) {
    ids.push_back(rows[static_cast<size_t>(row)].ids);
    segments.push_back(rows[static_cast<size_t>(row)].segments);
  }
  return make_ragged_batch(ids, segments);
}

std::vector<std::pair<size_t, size_t>> token_batches(const std::vector<EncodedRow>& rows) {
  // Bounds the memory of activations, and is large enough to fill all threads.
  constexpr size_t kMostTokens = 4096;
  std::vector<std::pair<size_t, size_t>> runs;
  size_t begin = 0, tokens = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > begin && tokens + rows[i].ids.size() > kMostTokens) {
      runs.emplace_back(begin, i);
      begin = i;
      tokens = 0;
    }
    tokens += rows[i].ids.size();
  }
  if (begin < rows.size()) runs.emplace_back(begin, rows.size());
  return runs;
}

int64_t usable_length(const Tokenizer& tokenizer, const BertConfig& config, int64_t wanted) {
  const int64_t positions = config.max_position_embeddings;
  if (wanted == 0) return std::min(positions, tokenizer.options().model_max_length.value_or(positions));
  CLOZE_CHECK(wanted >= 3 && wanted <= positions, ErrorCode::kUsage,
              "--max-length must be 3 to {} for this model, got {}", positions, wanted);
  return wanted;
}

void check_vocabulary(const Tokenizer& tokenizer, const BertConfig& config, const std::string& where) {
  CLOZE_CHECK(tokenizer.size() <= config.vocab_size, ErrorCode::kFormat,
              "{}: the tokenizer has {} tokens, but the model's \"vocab_size\" is {}: they do not belong together",
              where, tokenizer.size(), config.vocab_size);
}

Tokenizer scratch_tokenizer(const TrainingSource& source) {
  if (std::filesystem::is_directory(source.vocab)) return Tokenizer::load(source.vocab);
  TokenizerOptions options;
  options.normalizer.lowercase = !source.cased;
  return Tokenizer::from_vocabulary(Vocabulary::load(source.vocab), options);
}

std::string shorten_list(const std::vector<std::string>& names) {
  constexpr size_t kMost = 12;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} … ({} in all)", fmt::join(names.begin(), names.begin() + kMost, ", "), names.size());
}

}  // namespace cloze
