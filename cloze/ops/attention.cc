#include <cmath>
#include <cstdlib>

#include "cloze/ops/ops.h"

namespace cloze {
namespace {

constexpr int32_t kMostTokens = 65536;  ///< of a sequence: dropout numbers a key by 16 bits

void check_offsets(const Tensor& offsets, int64_t tokens, const char* what) {
  CLOZE_CHECK(offsets.dtype() == DType::kI32 && offsets.shape().rank() == 1 && offsets.elements() >= 1,
              ErrorCode::kShape, "[attention] {} must be [B+1] of I32, got {} of {}", what, offsets.shape(),
              dtype_name(offsets.dtype()));
  const auto values = offsets.values<int32_t>();
  for (size_t b = 0; b + 1 < values.size(); ++b)
    CLOZE_CHECK(values[b] <= values[b + 1] && values[b + 1] - values[b] <= kMostTokens, ErrorCode::kShape,
                "[attention] sequence {} goes from token {} to {}; it must have 0 to {} tokens", b, values[b],
                values[b + 1], kMostTokens);
  CLOZE_CHECK(values.front() == 0 && values.back() == tokens, ErrorCode::kShape,
              "[attention] {} must run from 0 to {}, they run from {} to {}", what, tokens, values.front(),
              values.back());
}

void check_query_offsets(const Tensor& queries, const Tensor& keys, int64_t rows) {
  check_offsets(queries, rows, "query offsets");
  CLOZE_CHECK(queries.shape() == keys.shape(), ErrorCode::kShape,
              "[attention] query offsets must be {} as offsets, got {}", keys.shape(), queries.shape());
  const auto q = queries.values<int32_t>(), k = keys.values<int32_t>();
  for (size_t b = 0; b + 1 < q.size(); ++b)
    CLOZE_CHECK(q[b] == q[b + 1] || k[b] < k[b + 1], ErrorCode::kShape,
                "[attention] sequence {} has queries but no tokens", b);
}

void check_columns(const VarColumns& x, int64_t rows, int64_t hidden, const char* what) {
  const Shape& s = x.of.value().shape();
  CLOZE_CHECK(s.rank() == 2 && s[0] == rows && x.first >= 0 && x.first + hidden <= s[1], ErrorCode::kShape,
              "[attention] {} must be {} rows with columns {} to {}, got {}", what, rows, x.first, x.first + hidden, s);
}

/// The gradients of q, k, v: parts of one Var that do not overlap share one tensor.
class AttentionGradients {
 public:
  AttentionGradients(const VarColumns (&parts)[3], int64_t hidden) {
    int64_t columns[3] = {};
    for (int i = 0; i < 3; ++i) {
      owner_[i] = i;
      for (int j = 0; j < i; ++j)
        if (owner_[j] == j && fits(parts, i, j, hidden)) owner_[i] = j;
      columns[owner_[i]] += hidden;
      const Tensor& value = parts[i].of.value();
      tensors_[i] = owner_[i] == i ? Tensor(value.shape(), value.dtype()) : tensors_[owner_[i]];
    }
    for (int i = 0; i < 3; ++i)
      if (owner_[i] == i && columns[i] < tensors_[i].shape()[1]) tensors_[i].set_zero();
  }
  const Tensor& operator[](int i) const { return tensors_[i]; }
  bool owns(int i) const { return owner_[i] == i; }

 private:
  /// Whether part i may lie in the tensor of part j, beside all that lie there.
  bool fits(const VarColumns (&parts)[3], int i, int j, int64_t hidden) const {
    if (!parts[i].of.is(parts[j].of)) return false;
    for (int other = 0; other < i; ++other)
      if (owner_[other] == j && std::abs(parts[other].first - parts[i].first) < hidden) return false;
    return true;
  }

  Tensor tensors_[3];
  int owner_[3] = {};
};

}  // namespace

// Backward, for one query i of one head, P = softmax row, m = dropout factors:
// dV_j += m_j P_j dy_i; dP_j = m_j dy_i.v_j; dS_j = P_j (dP_j - dy_i.y_i); dq_i = scale sum_j dS_j k_j; dk_j += scale
// dS_j q_i.
Var attention(const VarColumns& q, const VarColumns& k, const VarColumns& v, int64_t hidden, const Tensor& offsets,
              const Tensor& query_offsets, int64_t heads, const Dropout& dropout) {
  for (const VarColumns* x : {&q, &k, &v})
    CLOZE_CHECK(x->of.value().shape().rank() == 2, ErrorCode::kShape, "[attention] q, k, v must have rank 2, got {}",
                x->of.value().shape());
  CLOZE_CHECK(heads > 0 && hidden % heads == 0, ErrorCode::kShape, "[attention] {} columns do not split into {} heads",
              hidden, heads);
  const int64_t rows = q.of.value().shape()[0], tokens = k.of.value().shape()[0];
  check_columns(q, rows, hidden, "q");
  check_columns(k, tokens, hidden, "k");
  check_columns(v, tokens, hidden, "v");
  check_offsets(offsets, tokens, "offsets");
  if (query_offsets.defined())
    check_query_offsets(query_offsets, offsets, rows);
  else
    CLOZE_CHECK(rows == tokens, ErrorCode::kShape, "[attention] q has {} rows, k and v {}", rows, tokens);
  const bool record = will_record({&q.of, &k.of, &v.of});
  const DType dtype = q.of.value().dtype();
  const double scale = 1.0 / std::sqrt(static_cast<double>(hidden / heads));
  const Tensor y({rows, hidden}, dtype), lse = record ? Tensor({rows, heads}, dtype) : Tensor();
  backend().attention({.q = {q.of.value(), q.first},
                       .k = {k.of.value(), k.first},
                       .v = {v.of.value(), v.first},
                       .offsets = offsets,
                       .query_offsets = query_offsets,
                       .heads = heads,
                       .scale = scale,
                       .dropout = dropout,
                       .y = y,
                       .lse = lse});
  if (!record) return Var(y);
  return Var::from_op(y, {q.of, k.of, v.of}, [=](const Tensor& dy) {
    const AttentionGradients gradients({q, k, v}, hidden);
    backend().attention_backward({.q = {q.of.value(), q.first},
                                  .k = {k.of.value(), k.first},
                                  .v = {v.of.value(), v.first},
                                  .offsets = offsets,
                                  .query_offsets = query_offsets,
                                  .y = y,
                                  .lse = lse,
                                  .dy = dy,
                                  .heads = heads,
                                  .scale = scale,
                                  .dropout = dropout,
                                  .dq = {gradients[0], q.first},
                                  .dk = {gradients[1], k.first},
                                  .dv = {gradients[2], v.first}});
    const VarColumns parts[] = {q, k, v};
    for (int i = 0; i < 3; ++i)
      if (gradients.owns(i)) parts[i].of.add_grad(gradients[i]);
  });
}

Var attention(const Var& q, const Var& k, const Var& v, const Tensor& offsets, int64_t heads, const Dropout& dropout) {
  const Shape& s = q.value().shape();
  CLOZE_CHECK(s.rank() == 2 && k.value().shape() == s && v.value().shape() == s, ErrorCode::kShape,
              "[attention] q, k, v must be [T,H] alike, got {}, {}, {}", s, k.value().shape(), v.value().shape());
  return attention({q, 0}, {k, 0}, {v, 0}, s[1], offsets, {}, heads, dropout);
}

}  // namespace cloze
