#include "cloze/ops/rows.h"

#include <algorithm>
#include <cstring>

#include "cloze/backend/backend.h"

namespace cloze {

RowIndex index_rows(const Tensor& readers, int64_t table_rows) {
  constexpr int32_t kUnread = -1;
  std::vector<int32_t> slot_of(static_cast<size_t>(table_rows), kUnread), rows;
  for (const int32_t row : readers.values<int32_t>()) {
    int32_t& slot = slot_of[static_cast<size_t>(row)];
    if (slot == kUnread) rows.push_back(row);
    slot = 0;
  }
  std::ranges::sort(rows);
  for (size_t i = 0; i < rows.size(); ++i) slot_of[static_cast<size_t>(rows[i])] = static_cast<int32_t>(i);
  RowIndex index{Tensor::of({static_cast<int64_t>(rows.size())}, rows), Tensor(readers.shape(), DType::kI32)};
  std::ranges::transform(readers.values<int32_t>(), index.slots.data<int32_t>(),
                         [&](int32_t row) { return slot_of[static_cast<size_t>(row)]; });
  return index;
}

void add_rows(const Tensor& values, const Tensor& rows, const Tensor& table) {
  // What embed does backward, for one table alone.
  backend().embed_backward(
      {.ids = rows, .positions = {}, .segments = {}, .dy = values, .dword = table, .dposition = {}, .dsegment = {}});
}

RowGradient sum_of_rows(const RowGradient& a, const RowGradient& b, int64_t table_rows) {
  const int64_t count_a = a.rows.elements(), count = count_a + b.rows.elements();
  const Tensor both({count}, DType::kI32);
  both.rows(0, count_a).copy_from(a.rows);
  both.rows(count_a, count).copy_from(b.rows);
  const RowIndex index = index_rows(both, table_rows);
  RowGradient sum{index.rows, Tensor::zeros({index.rows.elements(), a.values.shape()[1]}, a.values.dtype())};
  add_rows(a.values, index.slots.rows(0, count_a), sum.values);
  add_rows(b.values, index.slots.rows(count_a, count), sum.values);
  return sum;
}

Tensor dense_of(const RowGradient& gradient, const Shape& table) {
  Tensor dense = Tensor::zeros(table, gradient.values.dtype());
  add_rows(gradient.values, gradient.rows, dense);
  return dense;
}

}  // namespace cloze
