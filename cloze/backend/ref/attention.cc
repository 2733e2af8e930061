// Attention of one sequence and one head at a time. S is the sequence's length, i a query, j a key.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cloze/backend/random16.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using namespace ref;

/// The shape of one sequence and head: rows begin to begin + S of [T,H], columns from column on.
struct Head {
  int64_t begin, S, head, D, H, N;
  template <class Real>
  Real* row(Real* tokens, int64_t i) const {
    return tokens + (begin + i) * H + head * D;
  }
  int64_t statistic(int64_t i) const { return (begin + i) * N + head; }
  int64_t dropout_index(int64_t i, int64_t j) const { return statistic(i) * 65536 + j; }
};

/// Calls work(head) for every sequence and head of the batch.
template <class Args, class Work>
void for_heads(const Args& a, Work work) {
  const int64_t H = a.q.shape()[1], N = a.heads;
  const std::span<const int32_t> offsets = a.offsets.template values<int32_t>();
  for (size_t b = 0; b + 1 < offsets.size(); ++b)
    for (int64_t n = 0; n < N; ++n) work(Head{offsets[b], offsets[b + 1] - offsets[b], n, H / N, H, N});
}

/// y_i = sum_j m_ij p_ij v_j with p_i = softmax_j(scale q_i.k_j), m = 0 or the dropout's scale.
template <class Real>
void attention_of(const AttentionArgs& a) {
  const Real *q = a.q.data<Real>(), *k = a.k.data<Real>(), *v = a.v.data<Real>();
  Real *y = a.y.data<Real>(), *lse = data_or_null<Real>(a.lse);
  Random16 random(a.dropout);
  std::vector<Real> p;
  for_heads(a, [&](const Head& head) {
    p.resize(static_cast<size_t>(head.S));
    for (int64_t i = 0; i < head.S; ++i) {
      for (int64_t j = 0; j < head.S; ++j)
        p[static_cast<size_t>(j)] = Real(a.scale) * dot(head.row(q, i), head.row(k, j), head.D);
      const Real max = *std::ranges::max_element(p);
      Real sum = 0;
      for (Real& value : p) sum += value = std::exp(value - max);
      if (lse != nullptr) lse[head.statistic(i)] = max + std::log(sum);
      Real* y_i = head.row(y, i);
      std::fill_n(y_i, head.D, Real(0));
      for (int64_t j = 0; j < head.S; ++j) {
        const Real m = a.dropout.active() ? Real(random.factor(head.dropout_index(i, j))) : Real(1);
        add_scaled(m * (p[static_cast<size_t>(j)] / sum), head.row(v, j), y_i, head.D);
      }
    }
  });
}

/// With p_ij = exp(scale q_i.k_j - lse_i): dv_j = sum_i m_ij p_ij dy_i, dp_ij = m_ij dy_i.v_j,
/// D_i = sum_j p_ij dp_ij = dy_i.y_i, ds_ij = p_ij (dp_ij - D_i), dq_i = scale sum_j ds_ij k_j,
/// dk_j = scale sum_i ds_ij q_i.
template <class Real>
void attention_backward_of(const AttentionBackwardArgs& a) {
  const Real *q = a.q.data<Real>(), *k = a.k.data<Real>(), *v = a.v.data<Real>();
  const Real *y = a.y.data<Real>(), *lse = a.lse.data<Real>(), *dy = a.dy.data<Real>();
  Real *dq = a.dq.data<Real>(), *dk = a.dk.data<Real>(), *dv = a.dv.data<Real>();
  for (const Tensor& output : {a.dq, a.dk, a.dv}) output.set_zero();
  const Real scale(a.scale);
  Random16 random(a.dropout);
  for_heads(a, [&](const Head& head) {
    for (int64_t i = 0; i < head.S; ++i) {
      const Real *q_i = head.row(q, i), *dy_i = head.row(dy, i);
      const Real d_i = dot(dy_i, head.row(y, i), head.D);
      for (int64_t j = 0; j < head.S; ++j) {
        const Real m = a.dropout.active() ? Real(random.factor(head.dropout_index(i, j))) : Real(1);
        const Real p = std::exp(scale * dot(q_i, head.row(k, j), head.D) - lse[head.statistic(i)]);
        const Real ds = p * (m * dot(dy_i, head.row(v, j), head.D) - d_i);
        add_scaled(m * p, dy_i, head.row(dv, j), head.D);
        add_scaled(scale * ds, head.row(k, j), head.row(dq, i), head.D);
        add_scaled(scale * ds, q_i, head.row(dk, j), head.D);
      }
    }
  });
}

}  // namespace

void RefBackend::attention(const AttentionArgs& a) const {
  for_float(a.q.dtype(), [&](auto zero) { attention_of<decltype(zero)>(a); });
}

void RefBackend::attention_backward(const AttentionBackwardArgs& a) const {
  for_float(a.q.dtype(), [&](auto zero) { attention_backward_of<decltype(zero)>(a); });
}

}  // namespace cloze
