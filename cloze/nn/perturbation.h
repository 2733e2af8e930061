// The fast gradient method: a small change of the embeddings, against which the model is trained as well (Miyato, Dai
// and Goodfellow, "Adversarial training methods for semi-supervised text classification", 2017). Each sequence's change
// is r = size |x| g / |g|, where x [T_b,H] are the sequence's summed embeddings, before their layer norm, g the gradient
// of the loss by them, and |.| the Euclidean norm over all tokens. (Miyato et al. bring embeddings to variance 1 first;
// here |x| makes the size independent of their scale.)
#pragma once

#include "cloze/ops/ops.h"

namespace cloze {

class InputPerturbation {
 public:
  explicit InputPerturbation(double size) : size_(size) {}

  /// The embeddings [T,H] of a forward pass, changed: by nothing in the first pass, whose gradient is kept, and by r
  /// after turn(). `offsets` [B+1] are the sequences'.
  Var add_to(const Var& embeddings, const Tensor& offsets);
  /// After the first pass's backward pass. A sequence whose gradient is 0 is left as it is.
  void turn();

 private:
  double size_;
  Var change_;  ///< [T,H]
  Tensor embeddings_, offsets_;
  bool turned_ = false;
};

}  // namespace cloze
