#include "cloze/ops/var.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "cloze/tensor/storage.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::error_of;
using test::normal_leaf;
using test::sum_of;
using test::weighted_sum;
using ::testing::ElementsAre;

class VarTest : public ::testing::Test {
 protected:
  BackendScope scope_{ref_backend()};
};

Var leaf_of(const std::vector<double>& values) {
  return Var::leaf(Tensor::of<double>({static_cast<int64_t>(values.size())}, values));
}
Tensor vector_of(const std::vector<double>& values) {
  return Tensor::of<double>({static_cast<int64_t>(values.size())}, values);
}
/// x * factor, whose backward gives its own tensor.
Var times(const Var& x, double factor) {
  const auto scaled = [factor](const Tensor& t) {
    const Tensor y = t.clone();
    backend().scale({.x = y, .factor = factor});
    return y;
  };
  return Var::from_op(scaled(x.value()), {x}, [=](const Tensor& dy) { x.add_grad(scaled(dy)); });
}
/// a + b, whose backward gives one tensor to both, as add_layer_norm does without dropout.
Var plus(const Var& a, const Var& b) {
  const Tensor y = a.value().clone();
  backend().add_into({.x = b.value(), .y = y});
  return Var::from_op(y, {a, b}, [=](const Tensor& dy) {
    a.add_grad(dy);
    b.add_grad(dy);
  });
}

TEST_F(VarTest, AccumulatesWhereAValueIsUsedTwice) {
  const Var x = leaf_of({1, 2});
  backward(weighted_sum(plus(times(x, 2), times(x, 5)), vector_of({10, 100})));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(70, 700));
  x.clear_grad();
  EXPECT_FALSE(x.grad().defined());
  backward(weighted_sum(plus(x, x), vector_of({10, 100})));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(20, 200));
}

/// Writes down which leaves were final, and how many operations had run by then.
class Witness : public GradientListener {
 public:
  explicit Witness(std::vector<Var> leaves) : leaves_(std::move(leaves)) {}
  void on_final(const Var& leaf) override {
    for (size_t i = 0; i < leaves_.size(); ++i)
      if (leaf.is(leaves_[i])) {
        finals.emplace_back(i, operations);
        gradients.push_back(leaf.grad().values<double>()[0]);
      }
  }
  void on_operation() override { ++operations; }
  int operations = 0;
  std::vector<std::pair<size_t, int>> finals;
  std::vector<double> gradients;

 private:
  std::vector<Var> leaves_;
};

TEST_F(VarTest, AListenerHearsOfALeafWhenItsLastReaderIsDone) {
  const Var a = leaf_of({1, 2}), b = leaf_of({3, 4});
  Witness witness({a, b});
  const Var first = plus(times(a, 2), b);  // operations 3 (times) and 2 (plus) of the way back, weighted_sum is 0
  backward(weighted_sum(plus(first, a), vector_of({10, 100})), 1.0, &witness);
  EXPECT_EQ(witness.operations, 4);
  using Final = std::pair<size_t, int>;
  EXPECT_THAT(witness.finals, ElementsAre(Final{1, 2}, Final{0, 3})) << "a has a reader at either end";
  EXPECT_THAT(witness.gradients, ElementsAre(10, 30)) << "whole when they are announced";
}

TEST_F(VarTest, AListenerHearsOfLeavesOfRecomputedParts) {
  const Var x = leaf_of({1, 2}), inner = leaf_of({3, 4});
  Witness witness({x, inner});
  const Var y = recomputed(times(x, 1), [inner](const Var& v) { return plus(v, times(inner, 3)); }, {inner.slot()});
  backward(weighted_sum(y, vector_of({10, 100})), 1.0, &witness);
  using Final = std::pair<size_t, int>;
  EXPECT_THAT(witness.finals, ElementsAre(Final{1, 1}, Final{0, 2}));
  EXPECT_THAT(witness.gradients, ElementsAre(30, 10));
}

TEST_F(VarTest, WaitsForAllReadersOfAValue) {
  // x -> a -> b -> c, and a is also read late: a's backward must come after b's, whatever the order of the inputs.
  for (const bool late_first : {true, false}) {
    const Var x = leaf_of({1});
    const Var a = times(x, 2), b = times(a, 3), c = times(b, 5);
    backward(weighted_sum(late_first ? plus(a, c) : plus(c, a), vector_of({1})));
    EXPECT_THAT(x.grad().values<double>(), ElementsAre(2 + 30)) << late_first;
  }
}

TEST_F(VarTest, SharedGradientsAreNotCorrupted) {
  // plus() gives a and b one tensor; what a gets besides must not reach b, nor the other way round.
  for (const bool first : {true, false}) {
    const Var a = leaf_of({1, 1}), b = leaf_of({1, 1});
    const Var sum = plus(a, b), more = times(first ? a : b, 10);
    const Tensor weights = vector_of({1, 2});
    backward(sum_of({weighted_sum(sum, weights), weighted_sum(more, weights)}));
    EXPECT_THAT((first ? a : b).grad().values<double>(), ElementsAre(11, 22));
    EXPECT_THAT((first ? b : a).grad().values<double>(), ElementsAre(1, 2));
    EXPECT_THAT(weights.values<double>(), ElementsAre(1, 2));
  }
}

TEST_F(VarTest, LeavesKeepAddingOverTapes) {
  const Var x = leaf_of({1, 2});
  backward(weighted_sum(times(x, 2), vector_of({1, 1})));
  const Tensor kept = x.grad();
  backward(weighted_sum(times(x, 3), vector_of({1, 1})));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(5, 5));
  EXPECT_THAT(kept.values<double>(), ElementsAre(2, 2)) << "a gradient that was read must not change";
  backward(weighted_sum(times(x, 4), vector_of({1, 1})));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(9, 9));
}

TEST_F(VarTest, SeedScalesTheGradient) {
  const Var x = leaf_of({1, 2});
  backward(weighted_sum(x, vector_of({3, 4})), 0.5);
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(1.5, 2));
}

TEST_F(VarTest, ConstantsGetNoGradient) {
  const Var x = leaf_of({1}), constant(vector_of({7}));
  EXPECT_FALSE(constant.needs_grad());
  const Var sum = plus(x, constant);
  EXPECT_TRUE(sum.needs_grad());
  backward(weighted_sum(sum, vector_of({1})));
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(1));
  EXPECT_FALSE(plus(constant, constant).needs_grad());
  EXPECT_FALSE(will_record({&constant}));
  EXPECT_TRUE(will_record({&constant, &x}));
  const Var undefined;
  EXPECT_FALSE(will_record({&undefined}));
}

TEST_F(VarTest, NoGradRecordsNothingOnThisThread) {
  const Var x = leaf_of({1});
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      EXPECT_FALSE(will_record({&x}));
    }
    EXPECT_FALSE(will_record({&x})) << "the outer one still lives";
    EXPECT_FALSE(times(x, 2).needs_grad());
    std::thread([&] { EXPECT_TRUE(will_record({&x})) << "other threads go on recording"; }).join();
    EXPECT_EQ(error_of([&] { backward(weighted_sum(x, vector_of({1}))); }),
              "internal: [backward] nothing was recorded for this loss");
  }
  EXPECT_TRUE(will_record({&x}));
  EXPECT_TRUE(times(x, 2).needs_grad());
}

/// What a chain of layers keeps in memory, beyond its result, while the result lives.
int64_t saved_bytes(const Var& x, const Var& weight, const Var& gamma, const Var& beta) {
  const int64_t before = memory_use().current_bytes;
  Var y = x;
  for (int layer = 0; layer < 3; ++layer) {
    y = linear(y, weight, {}, Activation::kGelu);
    y = attention(y, y, y, test::int_tensor({0, 16, 64}), 2, {});
    y = add_layer_norm(y, x, gamma, beta, 1e-12, {});
  }
  const int64_t held = memory_use().current_bytes - before;
  return held - y.value().bytes();
}

TEST_F(VarTest, NoGradSavesNothing) {
  const Var x = normal_leaf({64, 64}, 1), weight = normal_leaf({64, 64}, 2);
  const Var gamma = normal_leaf({64}, 3), beta = normal_leaf({64}, 4);
  EXPECT_GT(saved_bytes(x, weight, gamma, beta), 9 * x.value().bytes()) << "recording keeps what backward needs";
  const NoGrad no_grad;
  EXPECT_EQ(saved_bytes(x, weight, gamma, beta), 0);
}

TEST_F(VarTest, TheTapeHoldsNoValueThatBackwardDoesNotRead) {
  const Var x = normal_leaf({64, 64}, 1), gamma = normal_leaf({64}, 3), beta = normal_leaf({64}, 4);
  const Dropout half{.threshold = 32768, .site = 0, .key = 1};
  std::vector<int32_t> rows(64, 5);
  const Tensor picked = test::int_tensor(rows), weights = test::normal_tensor({64, 64}, 9);
  const int64_t before = memory_use().current_bytes, value = x.value().bytes();
  Var y = dropout(gather_rows(dropout(x, half), picked), half);
  EXPECT_EQ(memory_use().current_bytes - before, value) << "the result alone";
  y = add_layer_norm(dropout(y, half), dropout(y, half), gamma, beta, 1e-12, {});
  const int64_t means = 2 * 64 * int64_t{sizeof(double)};
  EXPECT_EQ(memory_use().current_bytes - before, 2 * value + means) << "the sum and the result";
  backward(weighted_sum(y, weights));
  EXPECT_TRUE(x.grad().defined());
}

TEST_F(VarTest, ASlotTakesGradientsAndHasNoValue) {
  const Var x = leaf_of({1, 2}), slot = x.slot();
  EXPECT_TRUE(slot.needs_grad());
  slot.add_grad(vector_of({3, 4}));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(3, 4));
  EXPECT_EQ(error_of([&] { (void)slot.value(); }), "internal: an undefined Var was read");
  EXPECT_FALSE(Var().slot().needs_grad());
}

TEST_F(VarTest, ConstantsSaveNothing) {
  const Var x(test::normal_tensor({64, 64}, 1)), weight(test::normal_tensor({64, 64}, 2));
  const Var gamma(test::normal_tensor({64}, 3)), beta(test::normal_tensor({64}, 4));
  EXPECT_EQ(saved_bytes(x, weight, gamma, beta), 0);
}

TEST_F(VarTest, BackwardFreesTheTape) {
  trim_memory_pool();  // or larger blocks that other tests left may serve, and be counted as what they are
  const Var x = normal_leaf({64, 64}, 1), weight = normal_leaf({64, 64}, 2), bias = normal_leaf({64}, 3);
  const int64_t before = memory_use().current_bytes;
  const auto loss_of = [&] {
    Var y = x;
    for (int layer = 0; layer < 3; ++layer) y = linear(y, weight, bias, Activation::kTanh);
    return weighted_sum(y);
  };
  const Var loss = loss_of();
  const int64_t loss_bytes = 64;  // the pool's smallest block
  EXPECT_GT(memory_use().current_bytes, before + 6 * x.value().bytes());
  backward(loss);
  const int64_t gradients = x.grad().bytes() + weight.grad().bytes() + bias.grad().bytes();
  EXPECT_EQ(memory_use().current_bytes, before + gradients + loss_bytes)
      << "only the loss and the leaves' gradients stay";
  for (const Var* leaf : {&x, &weight, &bias}) leaf->clear_grad();
  EXPECT_EQ(memory_use().current_bytes, before + loss_bytes);
  { const Var unused = loss_of(); }
  EXPECT_EQ(memory_use().current_bytes, before + loss_bytes) << "a tape that is never run frees itself";
}

TEST_F(VarTest, RecomputedKeepsItsInputAndGivesTheSameBits) {
  const Var x = normal_leaf({64, 64}, 1), weight = normal_leaf({64, 64}, 2), gamma = normal_leaf({64}, 3);
  const Var beta = normal_leaf({64}, 4);
  const auto layer = [=](const Var& in) {
    const Var inner = dropout(linear(in, weight, {}, Activation::kGelu), {.threshold = 32768, .site = 0, .key = 1});
    return add_layer_norm(linear(inner, weight, {}), in, gamma, beta, 1e-12, {});
  };
  const auto gradients_of = [&](const auto& run, int64_t& kept) {
    const int64_t before = memory_use().current_bytes;
    const Var y = run(run(x));
    kept = memory_use().current_bytes - before - y.value().bytes();
    backward(weighted_sum(y));
    std::vector<std::vector<double>> gradients = {
        {y.value().values<double>().begin(), y.value().values<double>().end()}};
    for (const Var* leaf : {&x, &weight, &gamma, &beta}) {
      const auto values = leaf->grad().values<double>();
      gradients.emplace_back(values.begin(), values.end());
      leaf->clear_grad();
    }
    return gradients;
  };
  int64_t kept_plain = 0, kept = 0;
  const auto plain = gradients_of(layer, kept_plain);
  EXPECT_EQ(gradients_of([&](const Var& in) { return recomputed(in, layer); }, kept), plain);
  EXPECT_GT(kept_plain, 5 * x.value().bytes());
  EXPECT_EQ(kept, x.value().bytes()) << "of both layers only the second one's input is new and kept";
}

TEST_F(VarTest, RecomputedIsRecordedWhereBackwardRunsWithoutRecording) {
  const Var x = leaf_of({1, 2});
  const Var y = recomputed(x, [](const Var& in) { return times(in, 3); });
  const Var loss = weighted_sum(y, vector_of({10, 100}));
  const NoGrad no_grad;
  backward(loss);
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(30, 300));
  EXPECT_FALSE(will_record({&x})) << "recording is off again";
  EXPECT_FALSE(recomputed(x, [](const Var& in) { return times(in, 3); }).needs_grad());
}

TEST_F(VarTest, RecomputedOfAConstantStillTrainsLeaves) {
  const Var constant(vector_of({1, 2})), w = leaf_of({5, 5});
  backward(weighted_sum(recomputed(constant, [&](const Var& in) { return plus(in, w); }), vector_of({3, 4})));
  EXPECT_THAT(w.grad().values<double>(), ElementsAre(3, 4));
}

TEST_F(VarTest, BackwardStartsFromAnyGradient) {
  const Var x = leaf_of({1, 2});
  backward(times(x, 2), vector_of({10, 100}));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(20, 200));
  EXPECT_EQ(error_of([&] { backward(times(x, 2), vector_of({1})); }),
            "shape: [backward] a gradient of [1] for a value of [2]");
}

TEST_F(VarTest, BackwardTwiceIsAnError) {
  const Var x = leaf_of({1});
  const Var loss = weighted_sum(times(x, 2), vector_of({1}));
  backward(loss);
  EXPECT_THAT(error_of([&] { backward(loss); }), ::testing::StartsWith("internal: [backward] "));
  EXPECT_THAT(x.grad().values<double>(), ElementsAre(2));
}

TEST_F(VarTest, BackwardThroughAFreedPartIsAnError) {
  const Var x = leaf_of({1});
  const Var shared = times(x, 2);
  backward(weighted_sum(shared, vector_of({1})));
  EXPECT_THAT(error_of([&] { backward(weighted_sum(times(shared, 3), vector_of({1}))); }),
              ::testing::StartsWith("internal: [backward] "))
      << "or x silently lacks this part of its gradient";
}

TEST_F(VarTest, Errors) {
  EXPECT_EQ(error_of([] { backward(leaf_of({1, 2})); }), "shape: [backward] the loss must be one number, got [2]");
  EXPECT_EQ(error_of([] { backward(Var(vector_of({1}))); }), "internal: [backward] nothing was recorded for this loss");
  EXPECT_EQ(error_of([] { (void)Var().value(); }), "internal: an undefined Var was read");
  EXPECT_EQ(error_of([] { (void)Var().grad(); }), "internal: an undefined Var was read");
  EXPECT_EQ(error_of([] {
              leaf_of({1, 2}).add_grad(vector_of({1, 2, 3}));
            }),
            "internal: a gradient of shape [3] for a value of shape [2]");
  EXPECT_FALSE(Var().defined());
  EXPECT_FALSE(Var().needs_grad());
}

}  // namespace
}  // namespace cloze
