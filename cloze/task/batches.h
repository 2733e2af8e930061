// Rows of text to ragged batches: what every task over texts shares.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/model/bert_config.h"
#include "cloze/task/task.h"
#include "cloze/tensor/ragged.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

/// One row as the model takes it, [CLS] and [SEP] included.
struct EncodedRow {
  std::vector<int32_t> ids, segments;
  int64_t dropped = 0;  ///< tokens cut off
};

/// Tokenizes on all threads. Pairs are cut longest first.
std::vector<EncodedRow> encode_rows(const Tokenizer& tokenizer, std::span<const TextExample> rows, int64_t max_length);

/// Rows [begin, end), or those named by `picked`, as one batch.
RaggedBatch join_rows(const std::vector<EncodedRow>& rows, size_t begin, size_t end);
RaggedBatch join_rows(const std::vector<EncodedRow>& rows, std::span<const int64_t> picked);

/// Splits rows into runs [begin, end) of a few thousand tokens, for inference.
std::vector<std::pair<size_t, size_t>> token_batches(const std::vector<EncodedRow>& rows);

/// Tokens a row may have: `wanted`, or what tokenizer and model allow if it is 0.
/// Errors: kUsage if `wanted` is more than the model's positions, or less than 3.
int64_t usable_length(const Tokenizer& tokenizer, const BertConfig& config, int64_t wanted);

/// Errors: kFormat if the tokenizer gives ids that the embedding table lacks.
void check_vocabulary(const Tokenizer& tokenizer, const BertConfig& config, const std::string& where);

/// The tokenizer of a run from scratch: vocab.txt or a folder that has one.
Tokenizer scratch_tokenizer(const TrainingSource& source);

/// "a, b, c … (77)": at most a dozen names.
std::string shorten_list(const std::vector<std::string>& names);

}  // namespace cloze
