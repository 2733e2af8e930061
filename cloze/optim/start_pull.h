// Weight decay towards where training began instead of towards 0, so that fine-tuning forgets less: L2-SP (Li,
// Grandvalet and Davoine, "Explicit inductive bias for transfer learning with convolutional networks", 2018), decoupled
// from the gradient as AdamW's own decay is: w <- w + rate * decay * (start - w).
#pragma once

#include <vector>

#include "cloze/nn/parameter.h"

namespace cloze {

class StartPull {
 public:
  /// Keeps pointers to the F32 parameters, which must outlive it, and a copy of their values.
  StartPull(ParameterList parameters, double decay);
  /// After an optimizer's step: `rates` are each parameter's learning rates of that step.
  void apply(const std::vector<double>& rates);
  const ParameterList& parameters() const { return parameters_; }

 private:
  ParameterList parameters_;
  double decay_;
  std::vector<Tensor> start_;
};

}  // namespace cloze
