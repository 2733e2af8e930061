// AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) with bias correction, as in PyTorch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cloze/nn/parameter.h"
#include "cloze/optim/lazy_rows.h"

namespace cloze {

/// How the moments are kept.
enum class MomentType : uint8_t {
  kAsParameter,  ///< in the parameter's own type
  kBF16,         ///< in half of f32's memory; m rounded to the nearest, v at random (AdamWArgs)
};

/// "f32" (for f32 parameters: kAsParameter) or "bf16". Errors: kUsage.
MomentType parse_moment_type(const std::string& name);

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< only on parameters with Decay::kYes
  MomentType moments = MomentType::kAsParameter;
};

/// What holds for one parameter.
struct ParameterPace {
  double rate = 1;     ///< times the learning rate
  int64_t start = 0;   ///< its first step is the one after this: the bias correction counts from there
  bool decays = true;  ///< false: without weight decay, whatever its Decay says
};

class AdamW {
 public:
  /// Keeps pointers to the parameters, which must outlive it. `paces` are theirs; empty: the plain one for all.
  AdamW(ParameterList parameters, const AdamWOptions& options, std::vector<ParameterPace> paces = {});

  /// sqrt of the sum of squares of all gradients. Parameters without a gradient count as 0.
  double gradient_norm() const;
  /// One step with gradients times `grad_scale` (finite); then clears them. A parameter without a gradient is not
  /// touched. Rows that a row gradient does not hold get the step when they are read (LazyRows), with the same bits.
  void step(double learning_rate, double grad_scale);

  int64_t steps() const { return steps_; }
  const ParameterList& parameters() const { return parameters_; }
  const ParameterPace& pace(size_t i) const { return paces_[i]; }
  /// First and second moments of parameter i, for checkpoints; zeros before the first step. Good until the next step.
  Tensor first_moment(size_t i) const { return settled(i), m_[i]; }
  Tensor second_moment(size_t i) const { return settled(i), v_[i]; }
  void restore(int64_t steps);

 private:
  void settled(size_t i) const;
  AdamWArgs settings(size_t i) const;

  ParameterList parameters_;
  AdamWOptions options_;
  std::vector<ParameterPace> paces_;  ///< as many as parameters
  std::vector<Tensor> m_, v_;
  std::vector<std::shared_ptr<LazyRows>> lazy_;  ///< of parameters that had a row gradient
  int64_t steps_ = 0;
};

}  // namespace cloze
