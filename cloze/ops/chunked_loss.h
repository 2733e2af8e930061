// What linear_cross_entropy and linear_distillation share: a loss over a vocabulary whose logits exist chunk by chunk.
// For those two alone.
#pragma once

#include <functional>

#include "cloze/ops/ops.h"

namespace cloze {

/// Some rows while their logits are there.
struct LossChunk {
  int64_t begin;           ///< the first of its n rows
  int64_t counted;         ///< of them, those whose target is not -1
  Tensor targets;          ///< [n]
  Tensor logits, dlogits;  ///< [n,V]; dlogits is undefined where no gradient is recorded
};

/// A second loss of the same logits: the whole is (1 - share) times the cross-entropy plus share times this, both means
/// over the counted rows.
struct SecondLoss {
  double share;
  /// Gets the gradient of the chunk's mean cross-entropy in `dlogits`, and makes of it that of the chunk's whole mean;
  /// may write over `logits`. Returns the second loss's sum over the counted rows.
  std::function<double(const LossChunk& chunk)> add;
  double sum = 0;  ///< of what `add` has returned
};

/// linear_cross_entropy() with a second loss beside it, which may be null; chunks are half as large with one.
Var chunked_loss(const Var& x, const Var& weight, const Var& bias, const Tensor& targets, Precision training,
                 LossStatistics* statistics, int64_t chunk_rows, SecondLoss* second);

}  // namespace cloze
