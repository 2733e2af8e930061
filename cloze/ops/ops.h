// Differentiable operations: each checks its inputs, runs a kernel of backend(), and records its backward.
// Formulas and dimensions: cloze/backend/backend.h. Float inputs of one call share one dtype, f32 or f64.
// All throw Error kShape with both shapes where inputs do not fit.
#pragma once

#include "cloze/backend/backend.h"
#include "cloze/ops/var.h"
#include "cloze/tensor/ragged.h"

namespace cloze {

/// activation(x[T,K] weight[M,K]^T + bias[M]) -> [T,M]. `bias` may be undefined. `prepared`, if not null, is the
/// backend's form of `weight` and is used where no gradient is recorded; `training`, kF32 or kBF16, is the precision of
/// forward and backward products where one is.
Var linear(const Var& x, const Var& weight, const Var& bias, Activation activation = Activation::kNone,
           const PreparedWeight* prepared = nullptr, Precision training = Precision::kF32);

/// The backend's own form of weight[M,K] for `linear`, or null; it must be made anew when the weight changes.
std::unique_ptr<PreparedWeight> prepare_weight(const Tensor& weight, Precision precision = Precision::kF32);
/// Of a weight that is kept compact (backend/compact.h). linear() and linear_group() take it without the weight itself.
std::unique_ptr<PreparedWeight> prepare_weight(const CompactWeight& weight);

/// Several linear layers of one input side by side: x[T,K] and weights [M_i,K], biases [M_i] -> [T, sum M_i].
Var linear_group(const Var& x, const std::vector<Var>& weights, const std::vector<Var>& biases,
                 const PreparedWeight* prepared = nullptr, Precision training = Precision::kF32);
/// The rows of all weights in one tensor, as linear_group wants it prepared.
Tensor joined_rows(const std::vector<Var>& weights);

/// The `hidden` columns from `first` on of a wider Var.
struct VarColumns {
  Var of;
  int64_t first = 0;
};
/// Attention of queries q over the tokens k, v of their sequence -> [Q,hidden], scaled by 1 / sqrt(hidden / heads).
/// Sequence b's queries are rows query_offsets[b] to query_offsets[b+1] of q; undefined: every token asks (Q = T).
Var attention(const VarColumns& q, const VarColumns& k, const VarColumns& v, int64_t hidden, const Tensor& offsets,
              const Tensor& query_offsets, int64_t heads, const Dropout& dropout);
/// Self-attention of each sequence over its own tokens: q, k, v [T,H] -> [T,H].
Var attention(const Var& q, const Var& k, const Var& v, const Tensor& offsets, int64_t heads, const Dropout& dropout);

/// layer_norm(dropout(x) + residual) -> [T,H]. `residual` may be undefined.
Var add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta, double eps,
                   const Dropout& dropout);

/// word[ids] + position[positions] + segment[segments] -> [T,H]. Errors: kValue for an id outside its table.
Var embed(const RaggedBatch& batch, const Var& word, const Var& position, const Var& segment);

/// Any shape.
Var dropout(const Var& x, const Dropout& dropout);

/// row[M], `rows` times -> [rows,M].
Var repeat_row(const Var& row, int64_t rows);

/// x[T,H] at rows[R] -> [R,H].
Var gather_rows(const Var& x, const Tensor& rows);

/// Mean cross-entropy of logits[R,C] against targets[R] (-1: not counted) -> [1]. `class_weight` [C] and `row_weight`
/// [R] may be undefined.
Var cross_entropy(const Var& logits, const Tensor& targets, const Tensor& class_weight = {},
                  double label_smoothing = 0.0, const Tensor& row_weight = {});

/// factor times the mean over rows of (KL(p || q) + KL(q || p)) / 2, where logits[2R,C] hold R rows p and the same rows
/// q once more, as softmaxes -> [1]: what R-Drop adds (Wu et al., "R-Drop: regularized dropout for neural networks",
/// 2021). `row_weight` [R] of F32 may be undefined. One thread.
Var symmetric_kl(const Var& logits, double factor, const Tensor& row_weight = {});

/// factor T^2 times the mean over rows of KL(q || s), with s = softmax(logits / T) and q the teacher's probabilities
/// [R,C] (F32, at temperature 1) at the same temperature -> [1] (Hinton et al., "Distilling the Knowledge in a Neural
/// Network", 2015). `row_weight` [R] of F32 may be undefined. One thread.
Var distillation_loss(const Var& logits, const Tensor& teacher, double temperature, double factor,
                      const Tensor& row_weight = {});

/// factor times the mean of (x - target)^2 over all elements -> [1]. One thread.
Var mean_square_gap(const Var& x, const Tensor& target, double factor);

/// factor times the mean over tokens and heads of KL(q || s): s and q are the rows of softmax(A A^T / sqrt(d)) of a
/// head's d columns A of x [T,W] and of target [T,W'], within each sequence (offsets as in attention) -> [1]:
/// MiniLMv2's relations where queries, keys and values stand side by side (Wang et al., 2021). `heads` divides both
/// widths.
Var relation_loss(const Var& x, const Tensor& target, const Tensor& offsets, int64_t heads, double factor);

/// factor x, of any shape.
Var scaled(const Var& x, double factor);

/// a + b, of one shape: for losses, which are small, and embeddings (one thread).
Var add(const Var& a, const Var& b);

/// What a loss was made of.
struct LossStatistics {
  int64_t rows = 0;     ///< counted ones
  double loss_sum = 0;  ///< over the counted rows
  int64_t right = 0;    ///< counted rows whose first largest logit is the target's
};
/// cross_entropy(linear(x[R,H], weight[V,H], bias[V]), targets[R]) -> [1] for a wide V: the logits and their gradient
/// exist for `chunk_rows` rows at a time only (0: as many as 48 MB of logits hold). Where gradients are recorded they
/// are made here, in the precision `training`, and held until the backward pass: as much memory as x, weight and bias.
/// `bias` may be undefined. Without any counted row loss and gradients are 0. `statistics`, if not null, is
/// overwritten.
Var linear_cross_entropy(const Var& x, const Var& weight, const Var& bias, const Tensor& targets,
                         Precision training = Precision::kF32, LossStatistics* statistics = nullptr,
                         int64_t chunk_rows = 0);

/// fn(x) with the same bits and gradients in less memory and more time: what fn saves for its backward is dropped, and
/// fn runs a second time there. So fn must give the same bits again, and of recorded values it may read only x and
/// leaves; it owns what it captures, for it is kept until then. `leaves` are those that it reads: the tape cannot see
/// them before the second run, and a GradientListener hears of them only so.
Var recomputed(const Var& x, std::function<Var(const Var&)> fn, const std::vector<Var>& leaves = {});

/// Softmax of each row; not recorded.
Tensor softmax(const Tensor& logits);

}  // namespace cloze
