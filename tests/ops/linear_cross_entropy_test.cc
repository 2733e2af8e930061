// linear_cross_entropy against linear and cross_entropy one after the other, and against differences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/tensor/storage.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::element;
using test::error_of;
using test::expect_alike;
using test::int_tensor;
using test::normal_leaf;
using test::normal_tensor;
using ::testing::Each;

constexpr int64_t kCrossEntropyChunks[] = {0, 1, 2, 3, 4, 6, 7, 8, 100};

struct CrossEntropyInputs {
  Var x, weight, bias;
  Tensor targets;
  CrossEntropyInputs(int64_t R, int64_t H, int64_t V, DType dtype, uint64_t seed = 1)
      : x(Var::leaf(normal_tensor({R, H}, seed, 1, 0, dtype))),
        weight(Var::leaf(normal_tensor({V, H}, seed + 1, 1, 0, dtype))),
        bias(Var::leaf(normal_tensor({V}, seed + 2, 1, 0, dtype))) {
    std::vector<int32_t> values;
    for (int64_t r = 0; r < R; ++r) values.push_back(r % 3 == 1 ? -1 : static_cast<int32_t>(r * 5 % V));
    targets = int_tensor(values);
  }
  Var fused(int64_t chunk_rows, LossStatistics* statistics = nullptr, Precision precision = Precision::kF32) const {
    return linear_cross_entropy(x, weight, bias, targets, precision, statistics, chunk_rows);
  }
  Var apart(Precision precision = Precision::kF32) const {
    return cross_entropy(linear(x, weight, bias, Activation::kNone, nullptr, precision), targets);
  }
  /// Loss, dx, dweight and dbias.
  std::vector<Tensor> results(const Var& loss) const {
    backward(loss, 4);  // a power of two: bf16 rounds dlogits alike before and after it
    std::vector<Tensor> all = {loss.value()};
    for (const Var* leaf : {&x, &weight, &bias}) {
      all.push_back(leaf->grad().clone());
      leaf->clear_grad();
    }
    return all;
  }
};

class LinearCrossEntropy : public ::testing::TestWithParam<const char*> {
 protected:
  BackendScope scope_{GetParam() == std::string("ref") ? ref_backend() : cpu_backend()};
};
INSTANTIATE_TEST_SUITE_P(Backends, LinearCrossEntropy, ::testing::Values("ref", "cpu"),
                         [](const auto& row) { return row.param; });

TEST_P(LinearCrossEntropy, IsLinearAndCrossEntropy) {
  for (const auto& [dtype, bound] : {std::pair(DType::kF64, 1e-14), std::pair(DType::kF32, 2e-6)}) {
    const CrossEntropyInputs in(7, 5, 11, dtype);
    const std::vector<Tensor> expected = in.results(in.apart());
    for (const int64_t rows : kCrossEntropyChunks) {
      SCOPED_TRACE(testing::Message() << dtype_name(dtype) << " in chunks of " << rows);
      expect_alike(in.results(in.fused(rows)), expected, bound);
    }
  }
}

TEST_P(LinearCrossEntropy, WithoutBias) {
  CrossEntropyInputs in(7, 5, 11, DType::kF64);
  in.bias = {};
  for (const Var& loss : {in.fused(3), in.apart()}) backward(loss);
  const Tensor twice = in.weight.grad().clone();
  in.weight.clear_grad();
  backward(in.apart(), 2);
  for (int64_t i = 0; i < twice.elements(); ++i) EXPECT_NEAR(element(twice, i), element(in.weight.grad(), i), 1e-14);
}

/// In bf16 each product's operands are rounded: 2^-8 of what is added up.
TEST_P(LinearCrossEntropy, InBf16) {
  const CrossEntropyInputs in(7, 24, 11, DType::kF32);
  const std::vector<Tensor> expected = in.results(in.apart(Precision::kBF16)), exact = in.results(in.apart());
  expect_alike(in.results(in.fused(0, nullptr, Precision::kBF16)), expected, 2e-6);
  expect_alike(in.results(in.fused(3, nullptr, Precision::kBF16)), expected, 0x1p-7);
  EXPECT_NE(element(expected[0], 0), element(exact[0], 0));
  const NoGrad no_grad;
  EXPECT_NEAR(element(in.fused(0, nullptr, Precision::kBF16).value(), 0), element(exact[0], 0), 1e-6)
      << "nothing is rounded where nothing is recorded";
}

TEST_P(LinearCrossEntropy, Statistics) {
  // Logits are x itself: the weight is the identity. Rows 1 and 2 have two largest; row 3 is not counted.
  const Var x(Tensor::of<float>({5, 3}, {0, 2, 1, 4, 4, 0, 4, 4, 0, 9, 0, 0, 0, 0, 5}));
  const Var weight = Var::leaf(Tensor::of<float>({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}));
  const Tensor targets = int_tensor({1, 0, 1, -1, 0});
  const auto minus_log_p = [](double own, double a, double b) {
    return std::log(1 + std::exp(a - own) + std::exp(b - own));
  };
  const double sum = minus_log_p(2, 0, 1) + 2 * minus_log_p(4, 4, 0) + minus_log_p(0, 0, 5);
  for (const int64_t rows : kCrossEntropyChunks) {
    for (const bool record : {true, false}) {
      SCOPED_TRACE(testing::Message() << rows << " " << record);
      const Recording recording(record);
      LossStatistics found = {.rows = 50, .loss_sum = 1e9, .right = 50};
      const Var loss = linear_cross_entropy(x, weight, {}, targets, Precision::kF32, &found, rows);
      EXPECT_EQ(found.rows, 4);
      EXPECT_NEAR(found.loss_sum, sum, 1e-6);
      EXPECT_EQ(found.right, 2);
      EXPECT_NEAR(element(loss.value(), 0), sum / 4, 1e-6);
      EXPECT_EQ(loss.needs_grad(), record);
    }
  }
}

TEST_P(LinearCrossEntropy, RightIsWhatArgmaxSays) {
  const CrossEntropyInputs in(200, 6, 37, DType::kF32);
  const Tensor logits = linear(in.x, in.weight, in.bias).value();
  int64_t expected = 0;
  for (int64_t r = 0; r < 200; ++r) {
    const float* row = logits.data<float>() + r * 37;
    const auto largest = static_cast<int32_t>(std::max_element(row, row + 37) - row);
    int32_t& target = in.targets.data<int32_t>()[r];
    if (r % 4 == 0) target = largest;
    expected += target == largest;
  }
  ASSERT_GE(expected, 50);
  ASSERT_LT(expected, 100);
  LossStatistics found;
  in.fused(64, &found);
  EXPECT_EQ(found.right, expected);
}

TEST_P(LinearCrossEntropy, NothingCountedGivesNothing) {
  for (const auto& targets : {std::vector<int32_t>{}, {-1, -1, -1}}) {
    CrossEntropyInputs in(static_cast<int64_t>(targets.size()), 4, 6, DType::kF32);
    in.targets = int_tensor(targets);
    LossStatistics found = {.rows = 50, .loss_sum = 1e9, .right = 50};
    const Var loss = in.fused(2, &found);
    EXPECT_EQ(element(loss.value(), 0), 0);
    EXPECT_EQ(found.rows, 0);
    EXPECT_EQ(found.loss_sum, 0);
    EXPECT_EQ(found.right, 0);
    backward(loss);
    EXPECT_EQ(in.x.grad().shape(), in.x.shape());
    for (const Var* leaf : {&in.x, &in.weight, &in.bias}) EXPECT_THAT(leaf->grad().values<float>(), Each(0.f));
  }
}

TEST(LinearCrossEntropyGradient, OfEachInput) {
  const CrossEntropyInputs in(7, 3, 5, DType::kF64);
  const Var x(in.x.value()), weight(in.weight.value()), bias(in.bias.value());
  for (const int64_t rows : {0, 1, 3}) {
    SCOPED_TRACE(rows);
    const auto loss = [&](const Var& a, const Var& b, const Var& c) {
      return linear_cross_entropy(a, b, c, in.targets, Precision::kF32, nullptr, rows);
    };
    test::expect_gradients({{"x", in.x}, {"weight", in.weight}, {"bias", in.bias}}, [&] { return in.fused(rows); });
    test::expect_gradients({{"x alone", in.x}}, [&] { return loss(in.x, weight, bias); });
    test::expect_gradients({{"weight alone", in.weight}}, [&] { return loss(x, in.weight, bias); });
    test::expect_gradients({{"bias alone", in.bias}}, [&] { return loss(x, weight, in.bias); });
  }
}

/// A weight that is read elsewhere too, as tied embeddings are: gradients add up, and none is written to afterwards.
TEST(LinearCrossEntropyGradient, OfASharedWeight) {
  const CrossEntropyInputs in(7, 5, 5, DType::kF64);
  test::expect_gradients({{"x", in.x}, {"weight", in.weight}, {"bias", in.bias}}, [&] {
    const Var hidden = linear(in.x, in.weight, in.bias, Activation::kTanh);
    return test::sum_of({linear_cross_entropy(hidden, in.weight, in.bias, in.targets, Precision::kF32, nullptr, 2),
                         cross_entropy(hidden, in.targets)});
  });
}

TEST(LinearCrossEntropyMemory, IsAChunkAndTheGradients) {
  constexpr int64_t R = 1024, H = 4, V = 20000, kMb = 1 << 20;  // all logits: 78 MB; a chunk's: 39 MB
  const CrossEntropyInputs in(R, H, V, DType::kF32);
  const auto peak = [&] {
    reset_peak_memory();
    const int64_t before = memory_use().current_bytes;
    in.fused(0);
    return memory_use().peak_bytes - before;
  };
  EXPECT_LT(peak(), (2 * 40 + 4) * kMb);
  const NoGrad no_grad;
  EXPECT_LT(peak(), (40 + 4) * kMb);
}

TEST(LinearCrossEntropyErrors, SayWhatWasExpected) {
  const auto constant = [](const Shape& shape) { return Var(Tensor::full(shape, DType::kF32, 0.5)); };
  const auto error = [&](const Shape& x, const Shape& weight, const Shape& bias, const Tensor& targets,
                         int64_t rows = 0) {
    return error_of([&] {
      linear_cross_entropy(constant(x), constant(weight), constant(bias), targets, Precision::kF32, nullptr, rows);
    });
  };
  EXPECT_EQ(error({2, 3}, {5, 4}, {5}, int_tensor({0, 1})),
            "shape: [linear_cross_entropy] x must be [R,H] and weight [V,H], got [2, 3] and [5, 4]");
  EXPECT_EQ(error({2, 3}, {5, 3}, {3}, int_tensor({0, 1})), "shape: [linear_cross_entropy] bias must be [5], got [3]");
  EXPECT_EQ(error({2, 3}, {5, 3}, {5}, int_tensor({0})),
            "shape: [linear_cross_entropy] targets must be [2] of I32, got [1] of I32");
  EXPECT_EQ(error({2, 3}, {5, 3}, {5}, Tensor::full({2}, DType::kF32, 0)),
            "shape: [linear_cross_entropy] targets must be [2] of I32, got [2] of F32");
  for (const int32_t target : {5, -2})
    EXPECT_EQ(error({2, 3}, {5, 3}, {5}, int_tensor({0, target})),
              "value: [linear_cross_entropy] a target outside -1 to 4");
  EXPECT_EQ(error({2, 3}, {5, 3}, {5}, int_tensor({0, 1}), -1),
            "value: [linear_cross_entropy] chunk_rows must not be negative, got -1");
}

}  // namespace
}  // namespace cloze
