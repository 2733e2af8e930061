#include <algorithm>
#include <cmath>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

/// log softmax of a row of C numbers.
template <class T>
std::vector<double> log_softmax(const T* row, int64_t classes) {
  const double most = static_cast<double>(*std::max_element(row, row + classes));
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(row[c]) - most);
  std::vector<double> result;
  for (int64_t c = 0; c < classes; ++c) result.push_back(static_cast<double>(row[c]) - most - std::log(sum));
  return result;
}

/// With p and q the two softmaxes, d = log p - log q and the row's weight w:
/// loss = w / 2 sum_c (p - q) d, dloss/da_j = w / 2 [p_j (d_j - sum_c p_c d_c) + p_j - q_j] and
/// dloss/db_j = w / 2 [-q_j (d_j - sum_c q_c d_c) + q_j - p_j].
template <class T>
double row_loss(const T* a, const T* b, int64_t classes, double weight, T* da, T* db) {
  const std::vector<double> log_p = log_softmax(a, classes), log_q = log_softmax(b, classes);
  double by_p = 0, by_q = 0;
  for (size_t c = 0; c < log_p.size(); ++c) {
    by_p += std::exp(log_p[c]) * (log_p[c] - log_q[c]);
    by_q += std::exp(log_q[c]) * (log_p[c] - log_q[c]);
  }
  for (size_t c = 0; da != nullptr && c < log_p.size(); ++c) {
    const double p = std::exp(log_p[c]), q = std::exp(log_q[c]), d = log_p[c] - log_q[c];
    da[c] = static_cast<T>(weight / 2 * (p * (d - by_p) + p - q));
    db[c] = static_cast<T>(weight / 2 * (-q * (d - by_q) + q - p));
  }
  return weight / 2 * (by_p - by_q);
}

template <class T>
double symmetric_kl_rows(const Tensor& logits, const std::vector<double>& weights, const Tensor& dlogits) {
  const int64_t rows = logits.shape()[0] / 2, classes = logits.shape()[1];
  const T *a = logits.data<T>(), *b = a + rows * classes;
  T* da = dlogits.defined() ? dlogits.data<T>() : nullptr;
  double loss = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = r * classes;
    loss += row_loss(a + at, b + at, classes, weights[static_cast<size_t>(r)], da == nullptr ? nullptr : da + at,
                     da == nullptr ? nullptr : da + rows * classes + at);
  }
  return loss;
}

}  // namespace

Var symmetric_kl(const Var& logits, double factor, const Tensor& row_weight) {
  const Shape& s = logits.shape();
  CLOZE_CHECK(s.rank() == 2 && s[0] > 0 && s[0] % 2 == 0 && s[1] > 0, ErrorCode::kShape,
              "[symmetric_kl] logits must be [2R,C], got {}", s);
  const int64_t rows = s[0] / 2;
  CLOZE_CHECK(!row_weight.defined() || (row_weight.shape() == Shape({rows}) && row_weight.dtype() == DType::kF32),
              ErrorCode::kShape, "[symmetric_kl] row_weight must be [{}] of F32, got {}", rows, row_weight.shape());
  std::vector<double> weights(static_cast<size_t>(rows), 1.0);
  if (row_weight.defined()) std::ranges::copy(row_weight.values<float>(), weights.begin());
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (double& weight : weights) weight *= sum > 0 ? factor / sum : 0;
  const bool wide = logits.dtype() == DType::kF64;
  const Tensor dlogits = will_record({&logits}) ? Tensor(s, logits.dtype()) : Tensor();
  const double loss = wide ? symmetric_kl_rows<double>(logits.value(), weights, dlogits)
                           : symmetric_kl_rows<float>(logits.value(), weights, dlogits);
  return Var::from_op(Tensor::full({1}, logits.dtype(), loss), {logits},
                      [dlogits, into = logits.slot()](const Tensor& dloss) {
                        const double by = dloss.dtype() == DType::kF64 ? *dloss.data<double>() : *dloss.data<float>();
                        if (by != 1.0) backend().scale({.x = dlogits, .factor = by});
                        into.add_grad(dlogits);
                      });
}

}  // namespace cloze
