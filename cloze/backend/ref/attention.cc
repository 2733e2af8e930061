// Attention of one sequence and one head at a time. S is the sequence's length, i a query, j a key.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cloze/backend/random16.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using ref::add_scaled;
using ref::data_or_null;
using ref::dot;
using ref::for_float;

/// One sequence and head: Q queries from row `query` on, S keys from row `key` on, D columns from `column` on.
struct Head {
  int64_t query, Q, key, S, head, N, D;
  template <class Real>
  static Real* at(const ColumnView& x, int64_t row, const Head& h) {
    return x.data<Real>() + row * x.row_stride() + h.head * h.D;
  }
  template <class Real>
  Real* query_row(const ColumnView& x, int64_t i) const {
    return at<Real>(x, query + i, *this);
  }
  template <class Real>
  Real* key_row(const ColumnView& x, int64_t j) const {
    return at<Real>(x, key + j, *this);
  }
  int64_t statistic(int64_t i) const { return (query + i) * N + head; }
  int64_t dropout_index(int64_t i, int64_t j) const { return statistic(i) * 65536 + j; }
};

/// Calls work(head) for every sequence and head of the batch; `H` columns in all.
template <class Args, class Work>
void for_heads(const Args& a, int64_t H, Work work) {
  const std::span<const int32_t> keys = a.offsets.template values<int32_t>(),
                                 queries = a.queries().template values<int32_t>();
  for (size_t b = 0; b + 1 < keys.size(); ++b)
    for (int64_t n = 0; n < a.heads; ++n)
      work(Head{queries[b], queries[b + 1] - queries[b], keys[b], keys[b + 1] - keys[b], n, a.heads, H / a.heads});
}

/// y_i = sum_j m_ij p_ij v_j with p_i = softmax_j(scale q_i.k_j), m = 0 or the dropout's scale.
template <class Real>
void attention_of(const AttentionArgs& a) {
  Real* lse = data_or_null<Real>(a.lse);
  const ColumnView y(a.y);
  Random16 random(a.dropout);
  std::vector<Real> p;
  for_heads(a, a.y.shape()[1], [&](const Head& head) {
    p.resize(static_cast<size_t>(head.S));
    for (int64_t i = 0; i < head.Q; ++i) {
      Real* y_i = head.query_row<Real>(y, i);
      std::fill_n(y_i, head.D, Real(0));
      for (int64_t j = 0; j < head.S; ++j)
        p[static_cast<size_t>(j)] =
            Real(a.scale) * dot(head.query_row<Real>(a.q, i), head.key_row<Real>(a.k, j), head.D);
      const Real max = *std::ranges::max_element(p);
      Real sum = 0;
      for (Real& value : p) sum += value = std::exp(value - max);
      if (lse != nullptr) lse[head.statistic(i)] = max + std::log(sum);
      for (int64_t j = 0; j < head.S; ++j) {
        const Real m = a.dropout.active() ? Real(random.factor(head.dropout_index(i, j))) : Real(1);
        add_scaled(m * (p[static_cast<size_t>(j)] / sum), head.key_row<Real>(a.v, j), y_i, head.D);
      }
    }
  });
}

/// With p_ij = exp(scale q_i.k_j - lse_i): dv_j = sum_i m_ij p_ij dy_i, dp_ij = m_ij dy_i.v_j,
/// D_i = sum_j p_ij dp_ij = dy_i.y_i, ds_ij = p_ij (dp_ij - D_i), dq_i = scale sum_j ds_ij k_j,
/// dk_j = scale sum_i ds_ij q_i.
template <class Real>
void attention_backward_of(const AttentionBackwardArgs& a) {
  const Real* lse = a.lse.data<Real>();
  const ColumnView y(a.y), dy(a.dy);
  const int64_t H = a.dy.shape()[1];
  const Real scale(a.scale);
  Random16 random(a.dropout);
  for_heads(a, H, [&](const Head& head) {
    for (int64_t i = 0; i < head.Q; ++i) std::fill_n(head.query_row<Real>(a.dq, i), head.D, Real(0));
    for (int64_t j = 0; j < head.S; ++j) {
      std::fill_n(head.key_row<Real>(a.dk, j), head.D, Real(0));
      std::fill_n(head.key_row<Real>(a.dv, j), head.D, Real(0));
    }
    for (int64_t i = 0; i < head.Q; ++i) {
      const Real *q_i = head.query_row<Real>(a.q, i), *dy_i = head.query_row<Real>(dy, i);
      const Real d_i = dot(dy_i, head.query_row<Real>(y, i), head.D);
      for (int64_t j = 0; j < head.S; ++j) {
        const Real *k_j = head.key_row<Real>(a.k, j), *v_j = head.key_row<Real>(a.v, j);
        const Real m = a.dropout.active() ? Real(random.factor(head.dropout_index(i, j))) : Real(1);
        const Real p = std::exp(scale * dot(q_i, k_j, head.D) - lse[head.statistic(i)]);
        const Real ds = p * (m * dot(dy_i, v_j, head.D) - d_i);
        add_scaled(m * p, dy_i, head.key_row<Real>(a.dv, j), head.D);
        add_scaled(scale * ds, k_j, head.query_row<Real>(a.dq, i), head.D);
        add_scaled(scale * ds, q_i, head.key_row<Real>(a.dk, j), head.D);
      }
    }
  });
}

}  // namespace

void RefBackend::attention(const AttentionArgs& a) const {
  for_float(a.y.dtype(), [&](auto zero) { attention_of<decltype(zero)>(a); });
}

void RefBackend::attention_backward(const AttentionBackwardArgs& a) const {
  for_float(a.y.dtype(), [&](auto zero) { attention_backward_of<decltype(zero)>(a); });
}

}  // namespace cloze
