// Zeros in place of small weights: unstructured pruning. The shapes stay; a weight that is mostly zeros is stored
// without them (io/weights.h), and the cpu backend multiplies what is left (backend/cpu/gemm_sparse.h).
#pragma once

#include <map>

#include "cloze/base/file.h"
#include "cloze/io/weights.h"

namespace cloze {

/// A score for each number of each product of encoder layers, by the product's name; F32 of its shape.
using WeightScores = std::map<std::string, Tensor>;

/// Zeros one by one, or in blocks: kSparseGroup outputs (backend/sparse.h) of one input at a time. The backend
/// multiplies the outputs of a block together, which is faster; what matters is then chosen more coarsely.
enum class ZeroPattern : uint8_t { kSingle, kBlocks };

/// Writes the model with the numbers of each product of its encoder layers at 0 that matter least, so that `share` of
/// it, in [0, 1), is zero: by `scores`, after those that are 0 already; without scores the smallest, magnitude pruning
/// (Han et al., "Learning both weights and connections for efficient neural networks", 2015). Of blocks such a share
/// goes, each of which matters as much as its numbers do on average: their scores, or their squares. A block that stays
/// may hold zeros from before; its outputs are then multiplied one by one. What is in 8 bits becomes floats. Errors:
/// kUnsupported for classifiers on a frozen encoder; kShape for scores of another shape; kNotFound where some are
/// missing; those of Weights.
void write_sparse(const Path& from, const Path& to, double share, const WeightScores& scores = {},
                  ZeroPattern pattern = ZeroPattern::kSingle);

/// Whether the model stores weights without their zeros.
bool stores_sparse(const Weights& weights);
/// Takes the zeros out of those products of encoder layers of which they are kStoreSparseFrom or more. Whether there
/// were any; config.json must say so then (CompactNote).
bool store_sparse(std::vector<NamedTensor>& tensors);

/// What share of the numbers of all those products is zero.
double sparsity_of(const Path& model);

/// The share after round `round` of `rounds` on the way to `last`: last (1 - (1 - round / rounds)^3), much at first
/// while much is redundant (Zhu and Gupta, "To prune, or not to prune", 2017).
double sparsity_at(double last, int64_t round, int64_t rounds);

}  // namespace cloze
