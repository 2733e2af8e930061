// Rows of text to ragged batches: what every task over texts shares.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/model/bert_config.h"
#include "cloze/task/long_texts.h"
#include "cloze/tensor/ragged.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

struct TrainingSource;

/// Rows as the model takes them. Row r is the sequences begin[r] to begin[r+1]: one, or its windows.
struct EncodedRows {
  std::vector<TokenSequence> sequences;
  std::vector<size_t> begin = {0};
  std::vector<int64_t> dropped;  ///< tokens of each row that no sequence holds

  size_t rows() const { return dropped.size(); }
  size_t windows(size_t row) const { return begin[row + 1] - begin[row]; }
  /// Tokens of all of a row's sequences, [CLS], [SEP] and what windows share included.
  int64_t tokens(size_t row) const;
  LengthCounts counts() const;
};

/// Tokenizes on all threads.
EncodedRows encode_rows(const Tokenizer& tokenizer, std::span<const TextExample> rows, const RowLimits& limits);

/// Sequences [begin, end), or those named by `picked`, as one batch.
RaggedBatch join_sequences(const std::vector<TokenSequence>& sequences, size_t begin, size_t end);
RaggedBatch join_sequences(const std::vector<TokenSequence>& sequences, std::span<const int64_t> picked);

/// Splits sequences into runs [begin, end) of a few thousand tokens, for inference.
std::vector<std::pair<size_t, size_t>> token_batches(const std::vector<TokenSequence>& sequences);

/// Mean of each row's consecutive values[S,C], S = all sequences: [rows,C]. Sums in f64; one sequence is copied.
Tensor mean_over_windows(const Tensor& values, const EncodedRows& rows);

/// Errors: kFormat if the tokenizer gives ids that the embedding table lacks.
void check_vocabulary(const Tokenizer& tokenizer, const BertConfig& config, const std::string& where);

/// The tokenizer of a run from scratch: vocab.txt or a folder that has one.
Tokenizer scratch_tokenizer(const TrainingSource& source);

/// 16 hexadecimal digits that change when a token, a segment, a row's extent or a label does.
std::string hash_of_rows(const EncodedRows& rows, std::span<const int> labels);

/// "FILE line 7", or "line 7" where no file is named: where a row stands, for errors.
std::string place_of(const TextExample& row, const std::string& file);

/// "a, b, c … (77 in all)": at most a dozen names.
std::string shorten_list(const std::vector<std::string>& names);

}  // namespace cloze
