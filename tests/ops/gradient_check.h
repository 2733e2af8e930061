// Gradients against differences, in f64: what the tape says must be what moving an input really does.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/ops/ops.h"
#include "tests/base/temporary.h"

namespace cloze::test {

inline double element(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::kF64 ? tensor.data<double>()[i] : static_cast<double>(tensor.data<float>()[i]);
}

/// A loss and its gradients against others, each within `bound` of its largest number, which is not 0.
inline void expect_alike(const std::vector<Tensor>& got, const std::vector<Tensor>& expected, double bound) {
  constexpr const char* kNames[] = {"loss", "dx", "dweight", "dbias"};
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(kNames[i]);
    ASSERT_EQ(got[i].shape(), expected[i].shape());
    double largest = 0, error = 0;
    for (int64_t k = 0; k < expected[i].elements(); ++k) {
      largest = std::max(largest, std::abs(element(expected[i], k)));
      error = std::max(error, std::abs(element(got[i], k) - element(expected[i], k)));
    }
    EXPECT_GT(largest, 0);
    EXPECT_LE(error, bound * largest);
  }
}

/// Standard normal values times `sigma`, plus `offset`; the same for the same seed.
inline Tensor normal_tensor(const Shape& shape, uint64_t seed, double sigma = 1, double offset = 0,
                            DType dtype = DType::kF64) {
  Rng rng(seed, RandomStream::kTest);
  const Tensor tensor(shape, DType::kF64);
  for (double& value : tensor.values<double>()) value = offset + sigma * rng.normal();
  if (dtype == DType::kF64) return tensor;
  const Tensor single(shape, dtype);
  for (int64_t i = 0; i < tensor.elements(); ++i)
    single.data<float>()[i] = static_cast<float>(tensor.data<double>()[i]);
  return single;
}

/// A leaf of such values.
inline Var normal_leaf(const Shape& shape, uint64_t seed, double sigma = 1, double offset = 0) {
  return Var::leaf(normal_tensor(shape, seed, sigma, offset));
}

inline Tensor int_tensor(const std::vector<int32_t>& values) {
  return Tensor::of<int32_t>({static_cast<int64_t>(values.size())}, values);
}

/// sum of y * weights, recorded: [1]. Any shape; f32 or f64, summed in f64.
inline Var weighted_sum(const Var& y, const Tensor& weights) {
  double sum = 0;
  for (int64_t i = 0; i < weights.elements(); ++i) sum += element(y.value(), i) * element(weights, i);
  return Var::from_op(Tensor::full({1}, y.value().dtype(), sum), {y}, [=](const Tensor& dsum) {
    const Tensor dy = weights.clone();
    backend().scale({.x = dy, .factor = element(dsum, 0)});
    y.add_grad(dy);
  });
}

/// The same with random weights, so that no gradient is zero by symmetry.
inline Var weighted_sum(const Var& y, uint64_t seed = 77) {
  return weighted_sum(y, normal_tensor(y.value().shape(), seed, 1, 0, y.value().dtype()));
}

/// Sum of losses of one element each, recorded.
inline Var sum_of(const std::vector<Var>& losses) {
  double sum = 0;
  for (const Var& loss : losses) sum += element(loss.value(), 0);
  return Var::from_op(Tensor::full({1}, losses.at(0).value().dtype(), sum), losses, [=](const Tensor& dsum) {
    for (const Var& loss : losses) loss.add_grad(dsum);
  });
}

/// Central difference of `loss` (fourth order) by element i of the f64 tensor `values`.
inline double difference_quotient(const Tensor& values, int64_t i, const std::function<double()>& loss,
                                  double step = 1e-4) {
  double& value = values.data<double>()[i];
  const double old = value;
  const auto at = [&](double moved) {
    value = old + moved;
    return loss();
  };
  const double near = at(step) - at(-step), far = at(2 * step) - at(-2 * step);
  value = old;
  return (8 * near - far) / (12 * step);
}

using NamedLeaves = std::vector<std::pair<std::string, Var>>;

/// Runs `forward` on the reference backend in f64 and checks the gradient of a random weighting of its result with
/// respect to every element of every leaf: within `bound` of the largest gradient in that leaf. No leaf may have a
/// gradient of all zeros, for then nothing would be checked.
inline void expect_gradients(const NamedLeaves& leaves, const std::function<Var()>& forward, double bound = 1e-9) {
  const BackendScope scope(ref_backend());
  for (const auto& [name, leaf] : leaves) leaf.clear_grad();
  backward(weighted_sum(forward()));
  const auto loss = [&] {
    const NoGrad no_grad;
    return weighted_sum(forward()).value().data<double>()[0];
  };
  for (const auto& [name, leaf] : leaves) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(leaf.grad().defined());
    ASSERT_EQ(leaf.grad().shape(), leaf.value().shape());
    double largest = 0, error = 0;
    for (int64_t i = 0; i < leaf.value().elements(); ++i) {
      const double expected = difference_quotient(leaf.value(), i, loss);
      largest = std::max(largest, std::abs(expected));
      error = std::max(error, std::abs(expected - leaf.grad().data<double>()[i]));
    }
    EXPECT_GT(largest, 1e-6);
    EXPECT_LE(error, bound * largest);
  }
}

}  // namespace cloze::test
