#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {

// Backward: dx[t] = sum of dy[r] over the r with rows[r] = t.
Var gather_rows(const Var& x, const Tensor& rows) {
  const Shape s = x.value().shape();
  CLOZE_CHECK(s.rank() == 2 && rows.shape().rank() == 1 && rows.dtype() == DType::kI32, ErrorCode::kShape,
              "[gather_rows] x must be [T,H] and rows [R] of I32, got {} and {}", s, rows.shape());
  CLOZE_CHECK(std::ranges::all_of(rows.values<int32_t>(), [&](int32_t r) { return r >= 0 && r < s[0]; }),
              ErrorCode::kValue, "[gather_rows] a row outside 0 to {}", s[0] - 1);
  const Tensor y({rows.elements(), s[1]}, x.value().dtype());
  backend().gather_rows({.x = x.value(), .rows = rows, .y = y});
  return Var::from_op(y, {x}, [s, rows, into = x.slot()](const Tensor& dy) {
    const Tensor dx(s, dy.dtype());
    backend().gather_rows_backward({.rows = rows, .dy = dy, .dx = dx});
    into.add_grad(dx);
  });
}

}  // namespace cloze
