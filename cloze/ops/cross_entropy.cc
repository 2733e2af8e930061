#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {

// Backward: the kernel gives dlogits for dloss = 1; it is scaled by the loss's own gradient.
Var cross_entropy(const Var& logits, const Tensor& targets, const Tensor& class_weight, double label_smoothing,
                  const Tensor& row_weight) {
  const Shape& s = logits.value().shape();
  CLOZE_CHECK(s.rank() == 2 && targets.shape() == Shape({s[0]}) && targets.dtype() == DType::kI32, ErrorCode::kShape,
              "[cross_entropy] logits must be [R,C] and targets [R] of I32, got {} and {}", s, targets.shape());
  CLOZE_CHECK(std::ranges::all_of(targets.values<int32_t>(), [&](int32_t t) { return t >= -1 && t < s[1]; }),
              ErrorCode::kValue, "[cross_entropy] a target outside -1 to {}", s[1] - 1);
  CLOZE_CHECK(!class_weight.defined() || class_weight.shape() == Shape({s[1]}), ErrorCode::kShape,
              "[cross_entropy] class_weight must be [{}], got {}", s[1], class_weight.shape());
  CLOZE_CHECK(!row_weight.defined() || row_weight.shape() == Shape({s[0]}), ErrorCode::kShape,
              "[cross_entropy] row_weight must be [{}], got {}", s[0], row_weight.shape());
  CLOZE_CHECK(label_smoothing >= 0 && label_smoothing < 1, ErrorCode::kValue,
              "[cross_entropy] label_smoothing must be in [0, 1), got {}", label_smoothing);
  const DType dtype = logits.value().dtype();
  const Tensor loss({1}, dtype), dlogits = will_record({&logits}) ? Tensor(s, dtype) : Tensor();
  backend().cross_entropy({.logits = logits.value(),
                           .targets = targets,
                           .class_weight = class_weight,
                           .row_weight = row_weight,
                           .label_smoothing = label_smoothing,
                           .loss = loss,
                           .dlogits = dlogits});
  return Var::from_op(loss, {logits}, [dlogits, into = logits.slot()](const Tensor& dloss) {
    const double factor = dloss.dtype() == DType::kF64 ? *dloss.data<double>() : *dloss.data<float>();
    if (factor != 1.0) backend().scale({.x = dlogits, .factor = factor});
    into.add_grad(dlogits);
  });
}

Tensor softmax(const Tensor& logits) {
  CLOZE_CHECK(logits.shape().rank() == 2, ErrorCode::kShape, "[softmax] logits must be [R,C], got {}", logits.shape());
  const Tensor y(logits.shape(), logits.dtype());
  backend().softmax({.x = logits, .y = y});
  return y;
}

}  // namespace cloze
