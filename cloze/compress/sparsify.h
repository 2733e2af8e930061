// Zeros in place of small weights: unstructured pruning. The shapes stay, so that every reader of the model takes it;
// the cpu backend multiplies what is left where enough of a weight is zero (backend/cpu/gemm_sparse.h).
#pragma once

#include "cloze/base/file.h"

namespace cloze {

/// Writes the model with the smallest numbers of each product of its encoder layers at 0, so that `share` of it, in
/// [0, 1), is zero: magnitude pruning, each weight for itself (Han et al., "Learning both weights and connections for
/// efficient neural networks", 2015). What is in 8 bits becomes floats. Errors: kUnsupported for classifiers on a
/// frozen encoder; those of Weights.
void write_sparse(const Path& from, const Path& to, double share);

/// What share of the numbers of all those products is zero.
double sparsity_of(const Path& model);

/// The share after round `round` of `rounds` on the way to `last`: last (1 - (1 - round / rounds)^3), much at first
/// while much is redundant (Zhu and Gupta, "To prune, or not to prune", 2017).
double sparsity_at(double last, int64_t round, int64_t rounds);

}  // namespace cloze
