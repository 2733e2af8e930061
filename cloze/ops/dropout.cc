#include "cloze/ops/ops.h"

namespace cloze {

// Backward: the same mask and scale on the gradient.
Var dropout(const Var& x, const Dropout& dropout) {
  if (!dropout.active()) return x;
  const Tensor y(x.value().shape(), x.value().dtype());
  backend().dropout({.x = x.value(), .dropout = dropout, .y = y});
  return Var::from_op(y, {x}, [dropout, into = x.slot()](const Tensor& dy) {
    const Tensor dx(dy.shape(), dy.dtype());
    backend().dropout({.x = dy, .dropout = dropout, .y = dx});
    into.add_grad(dx);
  });
}

}  // namespace cloze
