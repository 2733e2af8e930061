// The batch, everywhere: sequences laid end to end, without padding.
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/tensor/tensor.h"

namespace cloze {

/// T tokens of B sequences. All tensors are I32.
struct RaggedBatch {
  Tensor ids, segments, positions;  // [T]
  Tensor offsets;                   // [B+1]: sequence b is tokens offsets[b] to offsets[b+1]

  int64_t tokens() const { return ids.elements(); }
  int64_t sequences() const { return offsets.elements() - 1; }
  /// Token index of each sequence's first token [B]. Errors: kShape if a sequence is empty.
  Tensor first_tokens() const;
};

/// Joins sequences into a batch; positions count from 0 in each. `segments` may be empty (all 0).
/// Errors: kShape where a sequence's ids and segments differ in length.
RaggedBatch make_ragged_batch(const std::vector<std::vector<int32_t>>& ids,
                              const std::vector<std::vector<int32_t>>& segments);

}  // namespace cloze
