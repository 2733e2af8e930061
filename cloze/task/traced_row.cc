#include "cloze/task/traced_row.h"

#include <optional>
#include <span>

namespace cloze {

TracedRow trace_row(const Tokenizer& tokenizer, const TextExample& row, const RowLimits& limits) {
  const EncodeOptions bare{.special_tokens = SpecialTokens::kNone, .truncation = {}};
  TracedRow result;
  result.first = tokenizer.encode(row.text, bare);
  if (row.text_pair) result.second = tokenizer.encode(*row.text_pair, bare);
  // append_sequences only moves pieces about: it is given their numbers, as -1, -2, …, apart from ids of [CLS] and
  // [SEP], which it adds.
  std::vector<int32_t> numbers(result.size());
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = -1 - static_cast<int32_t>(i);
  const std::span<const int32_t> all = numbers, first = all.first(result.first.ids.size());
  std::optional<std::span<const int32_t>> second;
  if (row.text_pair) second = all.subspan(first.size());
  result.dropped = append_sequences(first, second, limits, tokenizer.vocabulary(), result.sequences);
  for (TokenSequence& sequence : result.sequences) {
    std::vector<int32_t>& pieces = result.pieces.emplace_back(sequence.ids.size(), -1);
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (sequence.ids[i] >= 0) continue;
      pieces[i] = -1 - sequence.ids[i];
      const size_t piece = static_cast<size_t>(pieces[i]);
      sequence.ids[i] = result.encoding(piece).ids[result.place(piece)];
    }
  }
  return result;
}

}  // namespace cloze
