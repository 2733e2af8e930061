// AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) with bias correction, as in PyTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/nn/parameter.h"

namespace cloze {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< only on parameters with Decay::kYes
};

class AdamW {
 public:
  /// Keeps pointers to the parameters, which must outlive it.
  AdamW(ParameterList parameters, const AdamWOptions& options);

  /// sqrt of the sum of squares of all gradients. Parameters without a gradient count as 0.
  double gradient_norm() const;
  /// One step with gradients times `grad_scale`; then clears them. A parameter without a gradient is not touched.
  void step(double learning_rate, double grad_scale);

  int64_t steps() const { return steps_; }
  const ParameterList& parameters() const { return parameters_; }
  /// First and second moments of parameter i, for checkpoints; zeros before the first step.
  Tensor first_moment(size_t i) const { return m_[i]; }
  Tensor second_moment(size_t i) const { return v_[i]; }
  void restore(int64_t steps) { steps_ = steps; }

 private:
  ParameterList parameters_;
  AdamWOptions options_;
  std::vector<Tensor> m_, v_;
  int64_t steps_ = 0;
};

}  // namespace cloze
