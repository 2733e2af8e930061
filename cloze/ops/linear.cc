#include "cloze/ops/ops.h"

namespace cloze {

std::unique_ptr<PreparedWeight> prepare_weight(const Tensor& weight) {
  return backend().prepare(weight);
}

// Backward: dpre = dy * activation'(pre); dx = dpre W; dW = dpre^T x; db = sum_T dpre.
Var linear(const Var& x, const Var& weight, const Var& bias, Activation activation, const PreparedWeight* prepared) {
  const Shape &xs = x.value().shape(), &ws = weight.value().shape();
  CLOZE_CHECK(xs.rank() == 2 && ws.rank() == 2 && xs[1] == ws[1], ErrorCode::kShape,
              "[linear] x must be [T,K] and weight [M,K], got {} and {}", xs, ws);
  CLOZE_CHECK(!bias.defined() || bias.value().shape() == Shape({ws[0]}), ErrorCode::kShape,
              "[linear] bias must be [{}], got {}", ws[0], bias.value().shape());
  const bool record = will_record({&x, &weight, &bias});
  const DType dtype = x.value().dtype();
  const Shape out = {xs[0], ws[0]};
  const Tensor y(out, dtype), pre = record && activation != Activation::kNone ? Tensor(out, dtype) : Tensor();
  backend().linear({.x = x.value(),
                    .weight = weight.value(),
                    .bias = bias.defined() ? bias.value() : Tensor(),
                    .activation = activation,
                    .prepared = record ? nullptr : prepared,
                    .pre = pre,
                    .y = y});
  if (!record) return Var(y);
  return Var::from_op(y, {x, weight, bias}, [=](const Tensor& dy) {
    const auto wanted = [dtype](const Var& input) {
      return input.needs_grad() ? Tensor(input.value().shape(), dtype) : Tensor();
    };
    const Tensor dx = wanted(x), dweight = wanted(weight), dbias = wanted(bias);
    backend().linear_backward({.x = x.value(),
                               .weight = weight.value(),
                               .pre = pre,
                               .dy = dy,
                               .activation = activation,
                               .dx = dx,
                               .dweight = dweight,
                               .dbias = dbias});
    x.add_grad(dx);
    weight.add_grad(dweight);
    bias.add_grad(dbias);
  });
}

}  // namespace cloze
