#include <algorithm>
#include <cmath>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

/// Softmax of values / temperature, and its logarithm.
struct Soft {
  std::vector<double> p, log_p;
};
Soft soften(std::vector<double> values, double temperature) {
  const double most = *std::ranges::max_element(values);
  double sum = 0;
  for (double& value : values) {
    value = (value - most) / temperature;
    sum += std::exp(value);
  }
  Soft soft;
  for (const double value : values) {
    soft.log_p.push_back(value - std::log(sum));
    soft.p.push_back(std::exp(soft.log_p.back()));
  }
  return soft;
}

/// factor T^2 sum_r w_r KL(q_r || s_r); dloss/dlogits = factor T w_r (s_r - q_r).
template <class T>
double distillation_rows(const Tensor& logits, const Tensor& teacher, double temperature,
                         const std::vector<double>& weights, const Tensor& dlogits) {
  const int64_t R = logits.shape()[0], C = logits.shape()[1];
  double loss = 0;
  for (int64_t r = 0; r < R; ++r) {
    const T* row = logits.data<T>() + r * C;
    std::vector<double> own(row, row + C), taught;
    // A probability of 0 is what rounding leaves of a small one.
    for (int64_t c = 0; c < C; ++c)
      taught.push_back(std::log(std::max(static_cast<double>(teacher.data<float>()[r * C + c]), 1e-30)));
    const Soft s = soften(std::move(own), temperature), q = soften(std::move(taught), temperature);
    const double weight = weights[static_cast<size_t>(r)] * temperature;
    for (size_t c = 0; c < s.p.size(); ++c) {
      loss += weight * temperature * q.p[c] * (q.log_p[c] - s.log_p[c]);
      if (dlogits.defined())
        dlogits.data<T>()[r * C + static_cast<int64_t>(c)] = static_cast<T>(weight * (s.p[c] - q.p[c]));
    }
  }
  return loss;
}

double number_of(const Tensor& x) {
  return x.dtype() == DType::kF64 ? *x.data<double>() : static_cast<double>(*x.data<float>());
}

}  // namespace

Var distillation_loss(const Var& logits, const Tensor& teacher, double temperature, double factor,
                      const Tensor& row_weight) {
  const Shape& s = logits.shape();
  CLOZE_CHECK(s.rank() == 2 && s[0] > 0 && s[1] > 0 && teacher.shape() == s && teacher.dtype() == DType::kF32,
              ErrorCode::kShape,
              "[distillation_loss] logits must be [R,C] and the teacher's probabilities alike, F32; "
              "got {} and {}",
              s, teacher.shape());
  CLOZE_CHECK(temperature > 0, ErrorCode::kValue, "[distillation_loss] temperature must be above 0, got {}",
              temperature);
  CLOZE_CHECK(!row_weight.defined() || (row_weight.shape() == Shape({s[0]}) && row_weight.dtype() == DType::kF32),
              ErrorCode::kShape, "[distillation_loss] row_weight must be [{}] of F32, got {}", s[0],
              row_weight.shape());
  std::vector<double> weights(static_cast<size_t>(s[0]), 1.0);
  if (row_weight.defined()) std::ranges::copy(row_weight.values<float>(), weights.begin());
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (double& weight : weights) weight *= sum > 0 ? factor / sum : 0;
  const Tensor dlogits = will_record({&logits}) ? Tensor(s, logits.dtype()) : Tensor();
  const double loss = logits.dtype() == DType::kF64
                          ? distillation_rows<double>(logits.value(), teacher, temperature, weights, dlogits)
                          : distillation_rows<float>(logits.value(), teacher, temperature, weights, dlogits);
  return Var::from_op(Tensor::full({1}, logits.dtype(), loss), {logits},
                      [dlogits, into = logits.slot()](const Tensor& dloss) {
                        if (number_of(dloss) != 1.0) backend().scale({.x = dlogits, .factor = number_of(dloss)});
                        into.add_grad(dlogits);
                      });
}

Var scaled(const Var& x, double factor) {
  const Tensor y = x.value().clone();
  backend().scale({.x = y, .factor = factor});
  return Var::from_op(y, {x}, [slot = x.slot(), factor](const Tensor& dy) {
    const Tensor dx = dy.clone();
    backend().scale({.x = dx, .factor = factor});
    slot.add_grad(dx);
  });
}

}  // namespace cloze
