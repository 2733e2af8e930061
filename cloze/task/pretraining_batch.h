// Rows of pretraining, masked and joined: what the model sees in a pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cloze/data/masking.h"
#include "cloze/data/pretraining_rows.h"
#include "cloze/nn/layers.h"
#include "cloze/tensor/ragged.h"

namespace cloze {

/// A row and its masking.
struct MaskedRow {
  PretrainingRow row;                       ///< `ids` are masked
  std::vector<int32_t> positions, targets;  ///< of the masked tokens, within the row
};

/// Masks the row by numbers that depend on (seed, number) alone.
MaskedRow mask_row(PretrainingRow row, const Masker& masker, uint64_t seed, int64_t number);

/// T tokens of B rows, R of them to be predicted. All tensors are I32.
struct PretrainingBatch {
  RaggedBatch tokens;
  /// The tokens whose hidden states are read: each row's first one, and the masked ones.
  PickedRows picked;
  Tensor masked;                ///< [R]: which of the picked ones are masked, ascending
  Tensor first;                 ///< [B]: which of them are first tokens
  Tensor targets;               ///< [R]: what they are
  Tensor labels;                ///< [B]: of the sentence objective, -1 where there is none
  std::vector<size_t> sources;  ///< [B]
};

PretrainingBatch join_rows(const std::vector<MaskedRow>& rows);

}  // namespace cloze
