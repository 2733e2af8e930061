// Tensors of random values, for the tests.
#pragma once

#include "cloze/base/rng.h"
#include "cloze/tensor/tensor.h"

namespace cloze::test {

/// Standard normal values times `sigma`; the same for the same seed.
inline Tensor random_f32(const Shape& shape, uint64_t seed, double sigma = 1) {
  Rng rng(seed, RandomStream::kTest);
  const Tensor tensor(shape, DType::kF32);
  for (float& value : tensor.values<float>()) value = static_cast<float>(sigma * rng.normal());
  return tensor;
}

}  // namespace cloze::test
