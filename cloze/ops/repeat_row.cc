#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

template <class T>
Tensor repeated(const Tensor& row, int64_t rows) {
  const int64_t M = row.elements();
  const Tensor y({rows, M}, row.dtype());
  for (int64_t r = 0; r < rows; ++r) std::copy_n(row.data<T>(), M, y.data<T>() + r * M);
  return y;
}

template <class T>
Tensor column_sums(const Tensor& dy) {
  const int64_t R = dy.shape()[0], M = dy.shape()[1];
  std::vector<double> sums(static_cast<size_t>(M), 0);
  for (int64_t r = 0; r < R; ++r)
    for (int64_t m = 0; m < M; ++m) sums[static_cast<size_t>(m)] += static_cast<double>(dy.data<T>()[r * M + m]);
  const Tensor out({M}, dy.dtype());
  std::ranges::transform(sums, out.data<T>(), [](double sum) { return static_cast<T>(sum); });
  return out;
}

}  // namespace

// Backward: drow = sum over rows of dy.
Var repeat_row(const Var& row, int64_t rows) {
  CLOZE_CHECK(row.shape().rank() == 1 && rows >= 0, ErrorCode::kShape, "[repeat_row] row must be [M], got {}, {} times",
              row.shape(), rows);
  const bool wide = row.dtype() == DType::kF64;
  const Tensor y = wide ? repeated<double>(row.value(), rows) : repeated<float>(row.value(), rows);
  return Var::from_op(y, {row}, [slot = row.slot(), wide](const Tensor& dy) {
    slot.add_grad(wide ? column_sums<double>(dy) : column_sums<float>(dy));
  });
}

}  // namespace cloze
