#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

void check_rows(const Tensor& rows, const Shape& table, const char* what) {
  const auto values = rows.values<int32_t>();
  const auto bad = std::ranges::find_if(values, [&](int32_t row) { return row < 0 || row >= table[0]; });
  CLOZE_CHECK(bad == values.end(), ErrorCode::kValue, "[embed] {} {} at token {} is outside the table of {} rows", what,
              bad == values.end() ? 0 : *bad, bad - values.begin(), table[0]);
}

}  // namespace

// Backward: each row of dy is added to the table rows that it was read from. A batch reads few of the rows of word and
// position: their gradients are made as those rows.
Var embed(const RaggedBatch& batch, const Var& word, const Var& position, const Var& segment) {
  const Shape s = word.shape();
  CLOZE_CHECK(s.rank() == 2, ErrorCode::kShape, "[embed] word must be [V,H], got {}", s);
  for (const Var* table : {&position, &segment})
    CLOZE_CHECK(table->shape().rank() == 2 && table->shape()[1] == s[1], ErrorCode::kShape,
                "[embed] position and segment must have {} columns as word, got {}", s[1], table->shape());
  CLOZE_CHECK(batch.ids.shape().rank() == 1 && batch.positions.shape() == batch.ids.shape() &&
                  batch.segments.shape() == batch.ids.shape(),
              ErrorCode::kShape, "[embed] ids, positions and segments must be [T] alike, got {}, {}, {}",
              batch.ids.shape(), batch.positions.shape(), batch.segments.shape());
  check_rows(batch.ids, word.shape(), "id");
  check_rows(batch.positions, position.shape(), "position");
  check_rows(batch.segments, segment.shape(), "segment");
  const DType dtype = word.dtype();
  const Tensor y({batch.tokens(), s[1]}, dtype);
  const bool records = will_record({&word, &position, &segment});
  const auto rows_read = [&](const Tensor& readers, const Var& table) {
    return records || table.pending() != nullptr ? index_rows(readers, table.shape()[0]) : RowIndex{};
  };
  const RowIndex words = rows_read(batch.ids, word), positions = rows_read(batch.positions, position);
  backend().embed({.ids = batch.ids,
                   .positions = batch.positions,
                   .segments = batch.segments,
                   .word = word.value_for_rows(words.rows),
                   .position = position.value_for_rows(positions.rows),
                   .segment = segment.value(),
                   .y = y});
  if (!records) return Var(y);
  return Var::from_op(y, {word, position, segment}, [=, segments = batch.segments](const Tensor& dy) {
    const auto wanted = [&](const Var& t, int64_t rows) {
      return t.needs_grad() ? Tensor::zeros({rows, s[1]}, dtype) : Tensor();
    };
    const RowGradient dword{words.rows, wanted(word, words.rows.elements())};
    const RowGradient dposition{positions.rows, wanted(position, positions.rows.elements())};
    const Tensor dsegment = wanted(segment, segment.shape()[0]);
    backend().embed_backward({.ids = words.slots,
                              .positions = positions.slots,
                              .segments = segments,
                              .dy = dy,
                              .dword = dword.values,
                              .dposition = dposition.values,
                              .dsegment = dsegment});
    word.add_row_grad(dword);
    position.add_row_grad(dposition);
    segment.add_grad(dsegment);
  });
}

}  // namespace cloze
