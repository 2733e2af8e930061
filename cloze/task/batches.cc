#include "cloze/task/batches.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "cloze/base/profile.h"
#include "cloze/base/thread_team.h"
#include "cloze/task/task.h"

namespace cloze {

int64_t EncodedRows::tokens(size_t row) const {
  size_t sum = 0;
  for (size_t i = begin[row]; i < begin[row + 1]; ++i) sum += sequences[i].ids.size();
  return static_cast<int64_t>(sum);
}

LengthCounts EncodedRows::counts() const {
  LengthCounts counts{.rows = static_cast<int64_t>(rows()), .windows = static_cast<int64_t>(sequences.size())};
  for (size_t row = 0; row < rows(); ++row) {
    counts.truncated += dropped[row] > 0;
    counts.windowed += windows(row) > 1;
  }
  return counts;
}

EncodedRows encode_rows(const Tokenizer& tokenizer, std::span<const TextExample> rows, const RowLimits& limits) {
  const ProfilePhase phase("tokenize");
  std::vector<std::vector<TokenSequence>> parts(rows.size());
  EncodedRows result;
  result.dropped.resize(rows.size());
  const EncodeOptions bare{.special_tokens = SpecialTokens::kNone};
  thread_team().for_ranges(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> first, second;
    for (int64_t i = begin; i < end; ++i) {
      const size_t at = static_cast<size_t>(i);
      const TextExample& row = rows[at];
      first.clear();
      second.clear();
      tokenizer.encode_ids(row.text, first, bare);
      std::optional<std::span<const int32_t>> other;
      if (row.text_pair) {
        tokenizer.encode_ids(*row.text_pair, second, bare);
        other = second;
      }
      result.dropped[at] = append_sequences(first, other, limits, tokenizer.vocabulary(), parts[at]);
    }
  });
  for (std::vector<TokenSequence>& part : parts) {
    std::ranges::move(part, std::back_inserter(result.sequences));
    result.begin.push_back(result.sequences.size());
  }
  return result;
}

RaggedBatch join_sequences(const std::vector<TokenSequence>& sequences, size_t begin, size_t end) {
  std::vector<int64_t> picked;
  for (size_t i = begin; i < end; ++i) picked.push_back(static_cast<int64_t>(i));
  return join_sequences(sequences, picked);
}

RaggedBatch join_sequences(const std::vector<TokenSequence>& sequences, std::span<const int64_t> picked) {
  std::vector<std::vector<int32_t>> ids, segments;
  for (const int64_t at : picked) {
    ids.push_back(sequences[static_cast<size_t>(at)].ids);
    segments.push_back(sequences[static_cast<size_t>(at)].segments);
  }
  return make_ragged_batch(ids, segments);
}

std::vector<std::pair<size_t, size_t>> token_batches(const std::vector<TokenSequence>& rows) {
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

Tensor mean_over_windows(const Tensor& values, const EncodedRows& rows) {
  const int64_t C = values.shape()[1];
  const Tensor means({static_cast<int64_t>(rows.rows()), C}, DType::kF32);
  const float* x = values.data<float>();
  float* y = means.data<float>();
  for (size_t row = 0; row < rows.rows(); ++row)
    for (int64_t c = 0; c < C; ++c) {
      double sum = 0;
      for (size_t i = rows.begin[row]; i < rows.begin[row + 1]; ++i)
        sum += static_cast<double>(x[static_cast<int64_t>(i) * C + c]);
      y[static_cast<int64_t>(row) * C + c] = static_cast<float>(sum / static_cast<double>(rows.windows(row)));
    }
  return means;
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

std::string hash_of_rows(const EncodedRows& rows, std::span<const int> labels) {
  // FNV-1a over 32-bit words: it is to notice changed data, not to withstand an attacker.
  uint64_t hash = 0xCBF29CE484222325u;
  const auto add = [&](uint64_t word) { hash = (hash ^ word) * 0x100000001B3u; };
  for (const TokenSequence& sequence : rows.sequences) {
    add(sequence.ids.size());
    for (const int32_t id : sequence.ids) add(static_cast<uint32_t>(id));
    for (const int32_t segment : sequence.segments) add(static_cast<uint32_t>(segment));
  }
  for (const size_t begin : rows.begin) add(begin);
  for (const int label : labels) add(static_cast<uint32_t>(label));
  return fmt::format("{:016x}", hash);
}

std::string place_of(const TextExample& row, const std::string& file) {
  return fmt::format("{}{}line {}", file, file.empty() ? "" : " ", row.line);
}

std::string shorten_list(const std::vector<std::string>& names) {
  constexpr size_t kMost = 12;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} … ({} in all)", fmt::join(names.begin(), names.begin() + kMost, ", "), names.size());
}

}  // namespace cloze
