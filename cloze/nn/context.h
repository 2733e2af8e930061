// What a forward pass needs to know beside its inputs: training or not, and which random numbers dropout reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cloze/base/rng.h"
#include "cloze/nn/perturbation.h"
#include "cloze/ops/ops.h"

namespace cloze {

/// What becomes of the values within an encoder layer between its forward and its backward pass: they are kept, or made
/// again from the layer's input ("gradient checkpointing": Chen et al., "Training deep nets with sublinear memory
/// cost", 2016). The bits are the same.
enum class Activations : uint8_t { kKept, kRecomputed };

class ForwardContext {
 public:
  /// Evaluation and prediction: no dropout.
  ForwardContext() = default;
  /// One training pass; `pass` counts forward passes of the run, so that each has its own masks. `precision` is that of
  /// the encoder's products, kF32 or kBF16.
  static ForwardContext training(uint64_t seed, uint64_t pass, Activations activations = Activations::kKept,
                                 Precision precision = Precision::kF32) {
    ForwardContext context;
    context.activations_ = activations;
    context.precision_ = precision;
    context.training_ = true;
    const auto words = philox(seed, static_cast<uint32_t>(RandomStream::kDropout), 0xFFFFFFFFu, pass);
    context.key_ = uint64_t{words[0]} << 32 | words[1];
    return context;
  }
  /// The next dropout of the pass, with probability p in [0, 1).
  Dropout next_dropout(double p) {
    const uint32_t site = next_site_++;
    if (!training_ || p <= 0) return {};
    const uint32_t threshold = static_cast<uint32_t>(std::lround(p * 65536.0));
    return {.threshold = std::min(threshold, 65535u), .site = site, .key = key_};
  }
  Activations activations() const { return activations_; }

  /// What changes the embeddings; null for nothing. Not owned.
  InputPerturbation* perturbation() const { return perturbation_; }
  void set_perturbation(InputPerturbation* perturbation) { perturbation_ = perturbation; }

  /// Of the encoder's products where gradients are recorded.
  Precision precision() const { return precision_; }

 private:
  Precision precision_ = Precision::kF32;
  bool training_ = false;
  Activations activations_ = Activations::kKept;
  uint64_t key_ = 0;
  uint32_t next_site_ = 0;
  InputPerturbation* perturbation_ = nullptr;
};

}  // namespace cloze
