// Differentiable operations: each checks its inputs, runs a kernel of backend(), and records its backward.
// Formulas and dimensions: cloze/backend/backend.h. Float inputs of one call share one dtype, f32 or f64.
// All throw Error kShape with both shapes where inputs do not fit.
#pragma once

#include "cloze/backend/backend.h"
#include "cloze/ops/var.h"
#include "cloze/tensor/ragged.h"

namespace cloze {

/// activation(x[T,K] weight[M,K]^T + bias[M]) -> [T,M]. `bias` may be undefined. `prepared`, if not null, is the
/// backend's form of `weight` and is used where no gradient is recorded.
Var linear(const Var& x, const Var& weight, const Var& bias, Activation activation = Activation::kNone,
           const PreparedWeight* prepared = nullptr);

/// The backend's own form of weight[M,K] for `linear`, or null; it must be made anew when the weight changes.
std::unique_ptr<PreparedWeight> prepare_weight(const Tensor& weight);

/// Self-attention of each sequence over its own tokens: q, k, v [T,H] -> [T,H], scaled by 1 / sqrt(H / heads).
Var attention(const Var& q, const Var& k, const Var& v, const Tensor& offsets, int64_t heads, const Dropout& dropout);

/// layer_norm(dropout(x) + residual) -> [T,H]. `residual` may be undefined.
Var add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta, double eps,
                   const Dropout& dropout);

/// word[ids] + position[positions] + segment[segments] -> [T,H]. Errors: kValue for an id outside its table.
Var embed(const RaggedBatch& batch, const Var& word, const Var& position, const Var& segment);

/// Any shape.
Var dropout(const Var& x, const Dropout& dropout);

/// x[T,H] at rows[R] -> [R,H].
Var gather_rows(const Var& x, const Tensor& rows);

/// Mean cross-entropy of logits[R,C] against targets[R] (-1: not counted) -> [1]. `class_weight` [C] and `row_weight`
/// [R] may be undefined.
Var cross_entropy(const Var& logits, const Tensor& targets, const Tensor& class_weight = {},
                  double label_smoothing = 0.0, const Tensor& row_weight = {});

/// Softmax of each row; not recorded.
Tensor softmax(const Tensor& logits);

}  // namespace cloze
