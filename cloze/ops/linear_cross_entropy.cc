#include <algorithm>
#include <atomic>

#include "cloze/base/thread_team.h"
#include "cloze/ops/chunked_loss.h"

namespace cloze {
namespace {

/// What the logits of a chunk may take; in training their gradient takes as much again. A second loss brings twice as
/// many beside them.
constexpr int64_t kChunkBytes = int64_t{48} << 20, kChunkBytesOfTwo = kChunkBytes / 2;

void check(const Var& x, const Var& weight, const Var& bias, const Tensor& targets, int64_t chunk_rows) {
  const Shape &xs = x.value().shape(), &ws = weight.value().shape();
  CLOZE_CHECK(xs.rank() == 2 && ws.rank() == 2 && xs[1] == ws[1], ErrorCode::kShape,
              "[linear_cross_entropy] x must be [R,H] and weight [V,H], got {} and {}", xs, ws);
  CLOZE_CHECK(!bias.defined() || bias.value().shape() == Shape({ws[0]}), ErrorCode::kShape,
              "[linear_cross_entropy] bias must be [{}], got {}", ws[0], bias.value().shape());
  CLOZE_CHECK(targets.shape() == Shape({xs[0]}) && targets.dtype() == DType::kI32, ErrorCode::kShape,
              "[linear_cross_entropy] targets must be [{}] of I32, got {} of {}", xs[0], targets.shape(),
              dtype_name(targets.dtype()));
  CLOZE_CHECK(std::ranges::all_of(targets.values<int32_t>(), [&](int32_t t) { return t >= -1 && t < ws[0]; }),
              ErrorCode::kValue, "[linear_cross_entropy] a target outside -1 to {}", ws[0] - 1);
  CLOZE_CHECK(chunk_rows >= 0, ErrorCode::kValue, "[linear_cross_entropy] chunk_rows must not be negative, got {}",
              chunk_rows);
}

/// The fewest chunks that fit, of equal rows: a small rest would make slow products.
int64_t fitting_rows(int64_t rows, int64_t row_bytes, int64_t chunk_bytes) {
  const int64_t most = std::max<int64_t>(1, chunk_bytes / std::max<int64_t>(1, row_bytes));
  const int64_t chunks = std::max<int64_t>(1, (rows + most - 1) / most);
  return (rows + chunks - 1) / chunks;
}

int64_t count_rows(const Tensor& targets) {
  return std::ranges::count_if(targets.values<int32_t>(), [](int32_t t) { return t >= 0; });
}

/// Whether no logit but the target's is the first of the largest. Without early ends, so that compilers vectorise it.
template <class Real>
bool is_first_largest(const Real* x, int64_t V, int32_t target) {
  const Real own = x[target];
  int rivals = 0;
  for (int64_t c = 0; c < target; ++c) rivals |= !(x[c] < own);
  for (int64_t c = target + 1; c < V; ++c) rivals |= !(x[c] <= own);
  return rivals == 0;
}

template <class Real>
int64_t count_right(const Tensor& logits, const Tensor& targets) {
  const int64_t V = logits.shape()[1];
  const Real* x = logits.data<Real>();
  const int32_t* target = targets.data<int32_t>();
  std::atomic<int64_t> right{0};
  thread_team().for_ranges(logits.shape()[0], std::max<int64_t>(1, (1 << 14) / V), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      if (target[r] >= 0 && is_first_largest(x + r * V, V, target[r])) ++right;
  });
  return right;
}

/// The gradients of the mean loss, made while the logits are there; each undefined where it is not wanted.
struct LossGradients {
  Tensor dx, dweight, dbias;
  bool empty = true;  ///< dweight and dbias have no values yet

  LossGradients() = default;
  LossGradients(const Var& x, const Var& weight, const Var& bias) {
    if (x.needs_grad()) dx = Tensor::zeros(x.shape(), x.dtype());
    if (weight.needs_grad()) dweight = Tensor(weight.shape(), x.dtype());
    if (bias.needs_grad()) dbias = Tensor(bias.shape(), x.dtype());
  }

  /// Adds what dlogits of the rows from `begin` on give.
  void add(const Tensor& x, const Tensor& weight, const Tensor& dlogits, int64_t begin, Precision precision) {
    const int64_t end = begin + dlogits.shape()[0];
    const auto fresh = [&](const Tensor& sum) {
      return empty || !sum.defined() ? sum : Tensor(sum.shape(), sum.dtype());
    };
    const Tensor dweight_here = fresh(dweight), dbias_here = fresh(dbias);
    const Tensor chunk_x = x.rows(begin, end), chunk_dx = dx.defined() ? dx.rows(begin, end) : Tensor();
    backend().linear_backward({.x = chunk_x,
                               .weight = weight,
                               .pre = {},
                               .dy = dlogits,
                               .activation = Activation::kNone,
                               .dx = chunk_dx,
                               .dweight = dweight_here,
                               .dbias = dbias_here,
                               .precision = precision});
    if (!empty && dweight.defined()) backend().add_into({.x = dweight_here, .y = dweight});
    if (!empty && dbias.defined()) backend().add_into({.x = dbias_here, .y = dbias});
    empty = false;
  }

  /// Without any counted row nothing was added.
  void finish() const {
    if (empty && dweight.defined()) dweight.set_zero();
    if (empty && dbias.defined()) dbias.set_zero();
  }
};

double first_element(const Tensor& tensor) {
  return tensor.dtype() == DType::kF64 ? *tensor.data<double>() : *tensor.data<float>();
}

/// What all chunks share. Without `gradients` only the loss is made.
struct ChunkedLoss {
  Tensor x, weight, bias, targets;
  Precision precision;
  LossGradients* gradients;
  bool count_right_rows;
  SecondLoss* second;
  std::unique_ptr<PreparedWeight> prepared = {};  ///< made once where several chunks read it

  /// Loss and gradients of chunks of `step` rows one after the other.
  LossStatistics run(int64_t step) {
    const int64_t R = x.shape()[0], all_rows = count_rows(targets);
    const Shape most = {step, weight.shape()[0]};
    const Tensor logits(most, x.dtype()), dlogits = gradients != nullptr ? Tensor(most, x.dtype()) : Tensor();
    if (step < R && precision == Precision::kF32) prepared = backend().prepare(weight, precision);
    LossStatistics sums;
    for (int64_t begin = 0; begin < R; begin += step) {
      const int64_t count = std::min(step, R - begin);
      add_chunk(begin, logits.rows(0, count), dlogits.defined() ? dlogits.rows(0, count) : Tensor(), all_rows, sums);
    }
    return sums;
  }

  /// The chunk that starts at row `begin`; logits and dlogits are its scratch memory.
  void add_chunk(int64_t begin, const Tensor& logits, const Tensor& dlogits, int64_t all_rows,
                 LossStatistics& sums) const {
    const int64_t end = begin + logits.shape()[0];
    const Tensor chunk_targets = targets.rows(begin, end), loss({1}, x.dtype());
    const int64_t rows = count_rows(chunk_targets);
    if (rows == 0) return;
    const Tensor chunk_x = x.rows(begin, end);
    backend().linear({.x = chunk_x,
                      .weight = weight,
                      .bias = bias,
                      .activation = Activation::kNone,
                      .prepared = prepared.get(),
                      .pre = {},
                      .y = logits,
                      .precision = precision});
    backend().cross_entropy({.logits = logits,
                             .targets = chunk_targets,
                             .class_weight = {},
                             .row_weight = {},
                             .label_smoothing = 0,
                             .loss = loss,
                             .dlogits = dlogits});
    sums.rows += rows;
    sums.loss_sum += static_cast<double>(rows) * first_element(loss);
    if (count_right_rows)
      sums.right += x.dtype() == DType::kF64 ? count_right<double>(logits, chunk_targets)
                                             : count_right<float>(logits, chunk_targets);
    if (second != nullptr) second->sum += second->add({begin, rows, chunk_targets, logits, dlogits});
    if (gradients == nullptr) return;
    const double share = static_cast<double>(rows) / static_cast<double>(all_rows);
    if (share != 1) backend().scale({.x = dlogits, .factor = share});
    gradients->add(x, weight, dlogits, begin, precision);
  }
};

}  // namespace

// With n counted rows in all and n_k in chunk k, whose kernel gives the mean loss_k and its gradient dlogits_k:
//   loss = sum_k n_k/n loss_k;  dlogits of chunk k = n_k/n dlogits_k, from there on as in linear.
// Backward: those gradients, for dloss = 1, are scaled by the loss's own gradient.
Var chunked_loss(const Var& x, const Var& weight, const Var& bias, const Tensor& targets, Precision training,
                 LossStatistics* statistics, int64_t chunk_rows, SecondLoss* second) {
  check(x, weight, bias, targets, chunk_rows);
  const int64_t R = x.shape()[0], row_bytes = weight.shape()[0] * dtype_bytes(x.dtype());
  const bool record = will_record({&x, &weight, &bias});
  LossGradients gradients = record ? LossGradients(x, weight, bias) : LossGradients();
  const Tensor x_value = x.value(), weight_value = weight.value(),
               bias_value = bias.defined() ? bias.value() : Tensor();
  ChunkedLoss chunked = {.x = x_value,
                         .weight = weight_value,
                         .bias = bias_value,
                         .targets = targets,
                         .precision = record ? training : Precision::kF32,
                         .gradients = record ? &gradients : nullptr,
                         .count_right_rows = statistics != nullptr,
                         .second = second};
  const int64_t chunk_bytes = second != nullptr ? kChunkBytesOfTwo : kChunkBytes;
  const LossStatistics sums =
      chunked.run(chunk_rows > 0 ? std::min(R, chunk_rows) : fitting_rows(R, row_bytes, chunk_bytes));
  if (statistics != nullptr) *statistics = sums;
  const double sum =
      second != nullptr ? (1 - second->share) * sums.loss_sum + second->share * second->sum : sums.loss_sum;
  const Tensor loss = Tensor::full({1}, x.dtype(), sums.rows > 0 ? sum / static_cast<double>(sums.rows) : 0);
  if (!record) return Var(loss);
  gradients.finish();
  return Var::from_op(loss, {x, weight, bias},
                      [gradients, x = x.slot(), weight = weight.slot(), bias = bias.slot()](const Tensor& dloss) {
                        const double factor = first_element(dloss);
                        const auto pass = [&](const Tensor& gradient, const Var& into) {
                          if (!gradient.defined()) return;
                          if (factor != 1.0) backend().scale({.x = gradient, .factor = factor});
                          into.add_grad(gradient);
                        };
                        pass(gradients.dx, x);
                        pass(gradients.dweight, weight);
                        pass(gradients.dbias, bias);
                      });
}

Var linear_cross_entropy(const Var& x, const Var& weight, const Var& bias, const Tensor& targets, Precision training,
                         LossStatistics* statistics, int64_t chunk_rows) {
  return chunked_loss(x, weight, bias, targets, training, statistics, chunk_rows, nullptr);
}

}  // namespace cloze
