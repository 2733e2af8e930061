// Gradients that are 0 but in a few rows, as those of embedding tables are.
#pragma once

#include "cloze/tensor/tensor.h"

namespace cloze {

/// The rows of a table that a batch reads, and for each reader where its row stands among them.
struct RowIndex {
  Tensor rows;   ///< [R] I32, rising, each once
  Tensor slots;  ///< [T] I32: rows[slots[t]] is what reader t reads
};
/// Of I32 `readers` [T], each in [0, table_rows).
RowIndex index_rows(const Tensor& readers, int64_t table_rows);

/// A gradient of a table [N,H].
struct RowGradient {
  Tensor rows;    ///< [R] I32, rising, each once
  Tensor values;  ///< [R,H]
  bool defined() const { return rows.defined(); }
};

/// table[rows[r]] += values[r] in the order of r; a row may come several times.
void add_rows(const Tensor& values, const Tensor& rows, const Tensor& table);
/// a + b, for tables of `table_rows` rows.
RowGradient sum_of_rows(const RowGradient& a, const RowGradient& b, int64_t table_rows);
/// The whole table's gradient.
Tensor dense_of(const RowGradient& gradient, const Shape& table);

}  // namespace cloze
