#include <cmath>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

void check_offsets(const Tensor& offsets, int64_t tokens) {
  CLOZE_CHECK(offsets.dtype() == DType::kI32 && offsets.shape().rank() == 1 && offsets.elements() >= 1,
              ErrorCode::kShape, "[attention] offsets must be [B+1] of I32, got {} of {}", offsets.shape(),
              dtype_name(offsets.dtype()));
  const auto values = offsets.values<int32_t>();
  for (size_t b = 0; b + 1 < values.size(); ++b)
    CLOZE_CHECK(values[b] <= values[b + 1] && values[b + 1] - values[b] <= 65536, ErrorCode::kShape,
                "[attention] sequence {} goes from token {} to {}; it must have 0 to 65536 tokens", b, values[b],
                values[b + 1]);
  CLOZE_CHECK(values.front() == 0 && values.back() == tokens, ErrorCode::kShape,
              "[attention] offsets must run from 0 to {}, they run from {} to {}", tokens, values.front(),
              values.back());
}

}  // namespace

// Backward, for one query i of one head, P = softmax row, m = dropout factors:
// dV_j += m_j P_j dy_i; dP_j = m_j dy_i.v_j; dS_j = P_j (dP_j - dy_i.y_i); dq_i = scale sum_j dS_j k_j; dk_j += scale
// dS_j q_i.
Var attention(const Var& q, const Var& k, const Var& v, const Tensor& offsets, int64_t heads, const Dropout& dropout) {
  const Shape& s = q.value().shape();
  CLOZE_CHECK(s.rank() == 2 && k.value().shape() == s && v.value().shape() == s, ErrorCode::kShape,
              "[attention] q, k, v must be [T,H] alike, got {}, {}, {}", s, k.value().shape(), v.value().shape());
  CLOZE_CHECK(heads > 0 && s[1] % heads == 0, ErrorCode::kShape, "[attention] {} columns do not split into {} heads",
              s[1], heads);
  check_offsets(offsets, s[0]);
  const bool record = will_record({&q, &k, &v});
  const DType dtype = q.value().dtype();
  const double scale = 1.0 / std::sqrt(static_cast<double>(s[1] / heads));
  const Tensor y(s, dtype), lse = record ? Tensor({s[0], heads}, dtype) : Tensor();
  backend().attention({.q = q.value(),
                       .k = k.value(),
                       .v = v.value(),
                       .offsets = offsets,
                       .heads = heads,
                       .scale = scale,
                       .dropout = dropout,
                       .y = y,
                       .lse = lse});
  if (!record) return Var(y);
  return Var::from_op(y, {q, k, v}, [=](const Tensor& dy) {
    const Tensor dq(s, dtype), dk(s, dtype), dv(s, dtype);
    backend().attention_backward({.q = q.value(),
                                  .k = k.value(),
                                  .v = v.value(),
                                  .offsets = offsets,
                                  .y = y,
                                  .lse = lse,
                                  .dy = dy,
                                  .heads = heads,
                                  .scale = scale,
                                  .dropout = dropout,
                                  .dq = dq,
                                  .dk = dk,
                                  .dv = dv});
    q.add_grad(dq);
    k.add_grad(dk);
    v.add_grad(dv);
  });
}

}  // namespace cloze
