#include <algorithm>

#include "cloze/ops/ops.h"

namespace cloze {

std::unique_ptr<PreparedWeight> prepare_weight(const Tensor& weight, Precision precision) {
  CLOZE_CHECK(precision != Precision::kBF16, ErrorCode::kValue,
              "bf16 is a precision of training: prepare a weight for inference in kF32 or kInt8");
  return backend().prepare(weight, precision);
}

std::unique_ptr<PreparedWeight> prepare_weight(const CompactWeight& weight) {
  return backend().prepare(weight);
}

namespace {

/// The shape [M,K] of a layer's weight. Where it is there in its prepared form alone, as inputs and bias have it.
Shape weight_shape(const Var& x, const Var& weight, const Var& bias, const PreparedWeight* prepared) {
  if (weight.defined()) return weight.value().shape();
  CLOZE_CHECK(prepared != nullptr && bias.defined() && x.shape().rank() == 2, ErrorCode::kInternal,
              "[linear] a weight that is kept compact must be prepared, and have a bias");
  return {bias.shape()[0], x.shape()[1]};
}

Tensor defined_or_empty(const Var& var) {
  return var.defined() ? var.value() : Tensor();
}
Tensor wanted(const Var& input, const DType dtype) {
  return input.needs_grad() ? Tensor(input.shape(), dtype) : Tensor();
}

/// Joins the rows of tensors of equal type and equal width.
Tensor join(const std::vector<Var>& parts) {
  const Shape& first = parts.front().value().shape();
  int64_t rows = 0;
  for (const Var& part : parts) rows += part.value().shape()[0];
  const Tensor joined(first.rank() == 1 ? Shape({rows}) : Shape({rows, first[1]}), parts.front().value().dtype());
  rows = 0;
  for (const Var& part : parts) {
    const int64_t count = part.value().shape()[0];
    joined.rows(rows, rows + count).copy_from(part.value());
    rows += count;
  }
  return joined;
}

}  // namespace

// Backward: dpre = dy * activation'(pre); dx = dpre W; dW = dpre^T x; db = sum_T dpre.
Var linear(const Var& x, const Var& weight, const Var& bias, Activation activation, const PreparedWeight* prepared,
           Precision training) {
  const Shape &xs = x.value().shape(), ws = weight_shape(x, weight, bias, prepared);
  CLOZE_CHECK(xs.rank() == 2 && ws.rank() == 2 && xs[1] == ws[1], ErrorCode::kShape,
              "[linear] x must be [T,K] and weight [M,K], got {} and {}", xs, ws);
  CLOZE_CHECK(!bias.defined() || bias.value().shape() == Shape({ws[0]}), ErrorCode::kShape,
              "[linear] bias must be [{}], got {}", ws[0], bias.value().shape());
  const bool record = will_record({&x, &weight, &bias});
  CLOZE_CHECK(!record || weight.defined(), ErrorCode::kInternal, "[linear] no gradients through 8 bits");
  const DType dtype = x.value().dtype();
  const Shape out = {xs[0], ws[0]};
  const Tensor y(out, dtype), pre = record && activation != Activation::kNone ? Tensor(out, dtype) : Tensor();
  backend().linear({.x = x.value(),
                    .weight = defined_or_empty(weight),
                    .bias = defined_or_empty(bias),
                    .activation = activation,
                    .prepared = record ? nullptr : prepared,
                    .pre = pre,
                    .y = y,
                    .precision = record || prepared == nullptr ? training : Precision::kF32});
  if (!record) return Var(y);
  const Tensor input = weight.needs_grad() ? x.value() : Tensor();  // dW alone reads it
  return Var::from_op(y, {x, weight, bias}, [=, x = x.slot(), bias = bias.slot()](const Tensor& dy) {
    const Tensor dx = wanted(x, dtype), dweight = wanted(weight, dtype), dbias = wanted(bias, dtype);
    backend().linear_backward({.x = input,
                               .weight = weight.value(),
                               .pre = pre,
                               .dy = dy,
                               .activation = activation,
                               .dx = dx,
                               .dweight = dweight,
                               .dbias = dbias,
                               .precision = training});
    x.add_grad(dx);
    weight.add_grad(dweight);
    bias.add_grad(dbias);
  });
}

Tensor joined_rows(const std::vector<Var>& weights) {
  return join(weights);
}

// Backward: that of linear with the joined weight; each weight's gradient is its rows of dW.
Var linear_group(const Var& x, const std::vector<Var>& weights, const std::vector<Var>& biases,
                 const PreparedWeight* prepared, Precision training) {
  const Shape& xs = x.value().shape();
  CLOZE_CHECK(!weights.empty() && weights.size() == biases.size() && xs.rank() == 2, ErrorCode::kShape,
              "[linear_group] x must be [T,K] with as many weights as biases, got {}, {} and {}", xs, weights.size(),
              biases.size());
  std::vector<Var> inputs = {x};
  int64_t outputs = 0;
  bool record = will_record({&x});
  for (size_t i = 0; i < weights.size(); ++i) {
    const Shape ws = weight_shape(x, weights[i], biases[i], prepared), &bs = biases[i].value().shape();
    CLOZE_CHECK(ws.rank() == 2 && ws[1] == xs[1] && bs == Shape({ws[0]}), ErrorCode::kShape,
                "[linear_group] x must be [T,K], each weight [M,K] and bias [M], got {}, {} and {}", xs, ws, bs);
    inputs.insert(inputs.end(), {weights[i], biases[i]});
    outputs += ws[0];
    record = record || will_record({&weights[i], &biases[i]});
  }
  const DType dtype = x.value().dtype();
  const Tensor y({xs[0], outputs}, dtype);
  if (record) prepared = nullptr;
  CLOZE_CHECK(prepared != nullptr || std::ranges::all_of(weights, &Var::defined), ErrorCode::kInternal,
              "[linear_group] no gradients through 8 bits");
  backend().linear({.x = x.value(),
                    .weight = prepared == nullptr ? join(weights) : Tensor(),
                    .bias = join(biases),
                    .activation = Activation::kNone,
                    .prepared = prepared,
                    .pre = {},
                    .y = y,
                    .precision = prepared == nullptr ? training : Precision::kF32});
  if (!record) return Var(y);
  const Tensor input = any_needs_grad(weights) ? x.value() : Tensor();  // dW alone reads it
  return Var::from_op(y, inputs, [=, width = xs[1], x = x.slot()](const Tensor& dy) {
    const Tensor dx = wanted(x, dtype);
    const Tensor dweight = any_needs_grad(weights) ? Tensor({outputs, width}, dtype) : Tensor();
    const Tensor dbias = any_needs_grad(biases) ? Tensor({outputs}, dtype) : Tensor();
    backend().linear_backward({.x = input,
                               .weight = dx.defined() ? join(weights) : Tensor(),
                               .pre = {},
                               .dy = dy,
                               .activation = Activation::kNone,
                               .dx = dx,
                               .dweight = dweight,
                               .dbias = dbias,
                               .precision = training});
    x.add_grad(dx);
    int64_t row = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const int64_t end = row + weights[i].value().shape()[0];
      if (weights[i].needs_grad()) weights[i].add_grad(dweight.rows(row, end));
      if (biases[i].needs_grad()) biases[i].add_grad(dbias.rows(row, end));
      row = end;
    }
  });
}

}  // namespace cloze
