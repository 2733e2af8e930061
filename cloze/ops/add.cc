#include "cloze/ops/ops.h"

namespace cloze {
namespace {

template <class T>
Tensor sum_of(const Tensor& a, const Tensor& b) {
  const Tensor y(a.shape(), a.dtype());
  for (int64_t i = 0; i < a.elements(); ++i) y.data<T>()[i] = a.data<T>()[i] + b.data<T>()[i];
  return y;
}

}  // namespace

// Backward: d a = d b = dy.
Var add(const Var& a, const Var& b) {
  CLOZE_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), ErrorCode::kShape,
              "[add] both must be of one shape and type, got {} {} and {} {}", dtype_name(a.dtype()), a.shape(),
              dtype_name(b.dtype()), b.shape());
  const Tensor y =
      a.dtype() == DType::kF64 ? sum_of<double>(a.value(), b.value()) : sum_of<float>(a.value(), b.value());
  return Var::from_op(y, {a, b}, [first = a.slot(), second = b.slot()](const Tensor& dy) {
    first.add_grad(dy);
    second.add_grad(dy.clone());
  });
}

}  // namespace cloze
