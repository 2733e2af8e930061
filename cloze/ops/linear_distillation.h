// Masked words learned from a teacher's answers beside the words themselves.
#pragma once

#include <functional>

#include "cloze/ops/ops.h"

namespace cloze {

/// What a teacher says of the rows of linear_distillation().
struct TaughtRows {
  double share = 0.5;      ///< of the loss, 0 to 1
  double temperature = 2;  ///< T
  /// The teacher's logits of rows `begin` to `end` [end-begin,V], in the dtype of x, as a tensor of its own, which is
  /// written over. Asked for in order, nothing recorded.
  std::function<Tensor(int64_t begin, int64_t end)> logits;
};

struct DistillationStatistics {
  LossStatistics words;     ///< of the cross-entropy
  double distance_sum = 0;  ///< of T^2 KL(q || s) over the counted rows
};

/// (1 - share) cross_entropy(z, targets[R]) + share T^2 mean of KL(q || s) over the counted rows -> [1], with the
/// logits z = linear(x[R,H], weight[V,H], bias[V]), s = softmax(z / T) and q the teacher's softmax at the same
/// temperature (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015). Else as linear_cross_entropy:
/// logits of both, a gradient and a softmax exist for `chunk_rows` rows at a time (0: as many as 24 MB each hold). A
/// row whose target is -1 counts in neither part. Errors: also kShape where the teacher's vocabulary is another;
/// kValue.
Var linear_distillation(const Var& x, const Var& weight, const Var& bias, const Tensor& targets,
                        const TaughtRows& taught, Precision training = Precision::kF32,
                        DistillationStatistics* statistics = nullptr, int64_t chunk_rows = 0);

}  // namespace cloze
