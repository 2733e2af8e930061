#include <algorithm>
#include <cmath>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using ref::data_or_null;
using ref::for_float;

/// With w_r = weight[t_r], v_r the row's weight, W = sum_r v_r w_r over the counted rows, p = softmax(logits) and e the
/// label smoothing:
///   loss = 1/W sum_r v_r [ -(1-e) w_r logp_r[t_r] - e/C sum_c weight_c logp_r[c] ]
///   dlogits[r,c] = v_r/W [ (1-e) w_r (p_rc - (c == t_r)) + e/C (p_rc sum_j weight_j - weight_c) ]
/// Sums over C and R are taken in f64: C may be a vocabulary, where a naive f32 sum loses two digits.
template <class Real>
void cross_entropy_of(const CrossEntropyArgs& a) {
  const int64_t R = a.logits.shape()[0], C = a.logits.shape()[1];
  const Real *logits = a.logits.data<Real>(), *class_weight = data_or_null<Real>(a.class_weight),
             *row_weight = data_or_null<Real>(a.row_weight);
  const int32_t* targets = a.targets.data<int32_t>();
  Real* dlogits = data_or_null<Real>(a.dlogits);
  const auto weight = [&](int64_t c) { return class_weight != nullptr ? class_weight[c] : Real(1); };
  const auto of_row = [&](int64_t r) { return row_weight != nullptr ? row_weight[r] : Real(1); };
  const Real smooth = static_cast<Real>(a.label_smoothing / static_cast<double>(C));
  const Real sharp = static_cast<Real>(1 - a.label_smoothing);
  double total_weight = 0, all_classes = 0, loss = 0;
  for (int64_t r = 0; r < R; ++r)
    if (targets[r] >= 0) total_weight += of_row(r) * weight(targets[r]);
  for (int64_t c = 0; c < C; ++c) all_classes += weight(c);
  if (dlogits != nullptr) a.dlogits.set_zero();
  for (int64_t r = 0; r < R && total_weight > 0; ++r) {
    const int32_t target = targets[r];
    if (target < 0) continue;
    const Real* x = logits + r * C;
    const Real max = *std::max_element(x, x + C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += std::exp(x[c] - max);
    const Real log_sum = static_cast<Real>(std::log(sum));
    const auto logp = [&](int64_t c) { return x[c] - max - log_sum; };
    loss -= of_row(r) * sharp * weight(target) * logp(target);
    for (int64_t c = 0; c < C && smooth != 0; ++c) loss -= of_row(r) * smooth * weight(c) * logp(c);
    for (int64_t c = 0; c < C && dlogits != nullptr; ++c) {
      const Real p = std::exp(x[c] - max) / Real(sum), is_target = c == target ? Real(1) : Real(0);
      dlogits[r * C + c] = of_row(r) *
                           (sharp * weight(target) * (p - is_target) + smooth * (p * Real(all_classes) - weight(c))) /
                           Real(total_weight);
    }
  }
  a.loss.data<Real>()[0] = total_weight > 0 ? Real(loss / total_weight) : Real(0);
}

}  // namespace

void RefBackend::cross_entropy(const CrossEntropyArgs& a) const {
  for_float(a.logits.dtype(), [&](auto zero) { cross_entropy_of<decltype(zero)>(a); });
}

}  // namespace cloze
