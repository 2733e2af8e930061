#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

void check_rows(const Tensor& rows, const Tensor& table, const char* what) {
  const auto values = rows.values<int32_t>();
  const auto bad = std::ranges::find_if(values, [&](int32_t row) { return row < 0 || row >= table.shape()[0]; });
  CLOZE_CHECK(bad == values.end(), ErrorCode::kValue, "[embed] {} {} at token {} is outside the table of {} rows", what,
              bad == values.end() ? 0 : *bad, bad - values.begin(), table.shape()[0]);
}

}  // namespace

// Backward: each row of dy is added to the table rows that it was read from.
Var embed(const RaggedBatch& batch, const Var& word, const Var& position, const Var& segment) {
  const Shape& s = word.value().shape();
  CLOZE_CHECK(s.rank() == 2, ErrorCode::kShape, "[embed] word must be [V,H], got {}", s);
  for (const Var* table : {&position, &segment})
    CLOZE_CHECK(table->value().shape().rank() == 2 && table->value().shape()[1] == s[1], ErrorCode::kShape,
                "[embed] position and segment must have {} columns as word, got {}", s[1], table->value().shape());
  CLOZE_CHECK(batch.ids.shape().rank() == 1 && batch.positions.shape() == batch.ids.shape() &&
                  batch.segments.shape() == batch.ids.shape(),
              ErrorCode::kShape, "[embed] ids, positions and segments must be [T] alike, got {}, {}, {}",
              batch.ids.shape(), batch.positions.shape(), batch.segments.shape());
  check_rows(batch.ids, word.value(), "id");
  check_rows(batch.positions, position.value(), "position");
  check_rows(batch.segments, segment.value(), "segment");
  const DType dtype = word.value().dtype();
  const Tensor y({batch.tokens(), s[1]}, dtype);
  backend().embed({.ids = batch.ids,
                   .positions = batch.positions,
                   .segments = batch.segments,
                   .word = word.value(),
                   .position = position.value(),
                   .segment = segment.value(),
                   .y = y});
  if (!will_record({&word, &position, &segment})) return Var(y);
  return Var::from_op(y, {word, position, segment}, [=](const Tensor& dy) {
    const auto wanted = [dtype](const Var& t) {
      return t.needs_grad() ? Tensor::zeros(t.value().shape(), dtype) : Tensor();
    };
    const Tensor dword = wanted(word), dposition = wanted(position), dsegment = wanted(segment);
    backend().embed_backward({.ids = batch.ids,
                              .positions = batch.positions,
                              .segments = batch.segments,
                              .dy = dy,
                              .dword = dword,
                              .dposition = dposition,
                              .dsegment = dsegment});
    word.add_grad(dword);
    position.add_grad(dposition);
    segment.add_grad(dsegment);
  });
}

}  // namespace cloze
