// Texts longer than the model takes: cut, head and tail, or windows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cloze/model/bert_config.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

enum class LongTexts : uint8_t {
  kTruncate,  ///< the end is cut off; of a pair, the longer text is cut first
  /// The middle is cut out: the first quarter of the room goes to the beginning, the rest to the end (Sun, Qiu, Xu and
  /// Huang, "How to fine-tune BERT for text classification?", 2019: 128 and 382 of 510 tokens).
  kHeadTail,
  /// Nothing is cut: windows of max_length tokens that overlap by `stride`; their logits are averaged. Of a pair, the
  /// shorter text stands in each window (cut to half the room if need be), and the longer one is split.
  kWindow,
};

/// As the user or a checkpoint says it.
struct LengthOptions {
  int64_t max_length = 0;       ///< tokens a sequence, [CLS] and [SEP] included; 0: as trained, or what the model takes
  std::string long_texts = "";  ///< truncate, head-tail, window; empty: as trained, or truncate
  int64_t stride = -1;          ///< tokens that neighbouring windows share; -1: as trained, or a quarter of max_length
};

/// As rows are encoded.
struct RowLimits {
  int64_t max_length = 512;
  LongTexts long_texts = LongTexts::kTruncate;
  int64_t stride = 0;
};

/// `wanted`, completed by what config.json notes under "cloze", then by the model's and tokenizer's limits.
/// `where` names config.json. Errors: kUsage for a length, a stride or a word that cannot be; kFormat where config.json
/// notes such.
RowLimits resolve_limits(const LengthOptions& wanted, const Tokenizer& tokenizer, const BertConfig& config,
                         const std::string& where);

/// Notes the limits in config.json under "cloze", for prediction.
void note_limits(const RowLimits& limits, BertConfig& config);

/// One sequence as the model takes it, [CLS] and [SEP] included.
struct TokenSequence {
  std::vector<int32_t> ids, segments;
};

/// How many rows did not fit.
struct LengthCounts {
  int64_t rows = 0;
  int64_t truncated = 0;  ///< rows of which tokens were dropped
  int64_t windowed = 0;   ///< rows that were read in several windows
  int64_t windows = 0;    ///< sequences in all
  void add(const LengthCounts& more);
  /// "3 of 100 rows were longer than 128 tokens and were cut, …"; empty if none was.
  std::string text(const RowLimits& limits) const;
};

/// Appends the sequences of a row whose texts have these pieces; `second` is absent for a single text. Returns the
/// number of pieces that none of them holds.
int64_t append_sequences(std::span<const int32_t> first, std::optional<std::span<const int32_t>> second,
                         const RowLimits& limits, const Vocabulary& vocabulary, std::vector<TokenSequence>& out);

}  // namespace cloze
