#include "cloze/tensor/ragged.h"

#include <algorithm>
#include <numeric>

namespace cloze {

Tensor RaggedBatch::first_tokens() const {
  const Tensor first({sequences()}, DType::kI32);
  const int32_t* from = offsets.data<int32_t>();
  for (int64_t b = 0; b < sequences(); ++b) {
    CLOZE_CHECK(from[b] < from[b + 1], ErrorCode::kShape, "sequence {} of the batch is empty", b);
    first.data<int32_t>()[b] = from[b];
  }
  return first;
}

RaggedBatch make_ragged_batch(const std::vector<std::vector<int32_t>>& ids,
                              const std::vector<std::vector<int32_t>>& segments) {
  CLOZE_CHECK(segments.empty() || segments.size() == ids.size(), ErrorCode::kShape,
              "{} sequences of ids but {} of segments", ids.size(), segments.size());
  const int64_t sequences = static_cast<int64_t>(ids.size());
  int64_t tokens = 0;
  for (const auto& row : ids) tokens += static_cast<int64_t>(row.size());
  CLOZE_CHECK(tokens <= INT32_MAX, ErrorCode::kShape, "{} tokens in one batch; at most {}", tokens, INT32_MAX);
  RaggedBatch batch{Tensor({tokens}, DType::kI32), Tensor::zeros({tokens}, DType::kI32), Tensor({tokens}, DType::kI32),
                    Tensor({sequences + 1}, DType::kI32)};
  int32_t at = 0;
  batch.offsets.data<int32_t>()[0] = 0;
  for (size_t b = 0; b < ids.size(); ++b) {
    std::ranges::copy(ids[b], batch.ids.data<int32_t>() + at);
    if (!segments.empty()) {
      CLOZE_CHECK(segments[b].size() == ids[b].size(), ErrorCode::kShape, "sequence {}: {} ids but {} segments", b,
                  ids[b].size(), segments[b].size());
      std::ranges::copy(segments[b], batch.segments.data<int32_t>() + at);
    }
    std::iota(batch.positions.data<int32_t>() + at, batch.positions.data<int32_t>() + at + ids[b].size(), 0);
    at += static_cast<int32_t>(ids[b].size());
    batch.offsets.data<int32_t>()[b + 1] = at;
  }
  return batch;
}

}  // namespace cloze
