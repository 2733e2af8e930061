#include "cloze/ops/ops.h"

namespace cloze {

// Backward: fn once more, recorded this time, and its own small tape run from dy.
Var recomputed(const Var& x, std::function<Var(const Var&)> fn, const std::vector<Var>& leaves) {
  bool record = will_record({&x});
  for (const Var& leaf : leaves) record = record || will_record({&leaf});
  if (!record) return fn(x);
  const auto unrecorded = [&] {
    const NoGrad no_grad;
    return fn(x).value();
  };
  const Tensor y = unrecorded();
  std::vector<Var> inputs = {x};
  inputs.insert(inputs.end(), leaves.begin(), leaves.end());
  return Var::from_op(y, std::move(inputs), [fn = std::move(fn), value = x.value(), into = x.slot()](const Tensor& dy) {
    const Var leaf = into.needs_grad() ? Var::leaf(value) : Var(value);
    const auto recorded = [&] {
      const Recording recording(true);
      return fn(leaf);
    };
    backward(recorded(), dy);
    if (into.needs_grad()) into.add_grad(leaf.grad());
  });
}

}  // namespace cloze
