// Linear layers with a trained change of low rank (LoRA: Hu et al., "LoRA: Low-rank adaptation of large language
// models", 2021).
#pragma once

#include "cloze/ops/ops.h"

namespace cloze {

/// scale b a, added to a weight [M,K]: a [R,K], b [M,R]. Without a there is no change.
struct LowRank {
  Var a, b;
  double scale = 1;
};

/// activation(x (W_i + scale_i b_i a_i)^T + bias_i), side by side: x [T,K] -> [T, sum M_i]. There are as many weights
/// [M_i,K] as biases [M_i] and changes, of which at least one is a change. `training` is the precision of the products.
/// Errors: kShape.
Var linear_low_rank(const Var& x, const std::vector<Var>& weights, const std::vector<Var>& biases,
                    const std::vector<LowRank>& changes, Activation activation = Activation::kNone,
                    Precision training = Precision::kF32);

/// weight + scale b a [M,K]; not recorded.
Tensor merged_weight(const Tensor& weight, const LowRank& change);

}  // namespace cloze
