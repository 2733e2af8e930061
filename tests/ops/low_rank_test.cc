// Changes of low rank: what they compute, and their gradients against differences.
#include "cloze/ops/low_rank.h"

#include "gradient_check.h"

namespace cloze::test {
namespace {

struct Layers {
  Var x = normal_leaf({5, 4}, 1);
  std::vector<Var> weights = {normal_leaf({3, 4}, 2), normal_leaf({2, 4}, 3), normal_leaf({6, 4}, 4)};
  std::vector<Var> biases = {normal_leaf({3}, 5), normal_leaf({2}, 6), normal_leaf({6}, 7)};
  /// The middle one has none.
  std::vector<LowRank> changes = {{normal_leaf({2, 4}, 8), normal_leaf({3, 2}, 9), 1.5},
                                  {},
                                  {normal_leaf({1, 4}, 10), normal_leaf({6, 1}, 11), -0.5}};
  NamedLeaves leaves() const {
    return {{"x", x},
            {"weight 0", weights[0]},
            {"weight 1", weights[1]},
            {"bias 2", biases[2]},
            {"a 0", changes[0].a},
            {"b 0", changes[0].b},
            {"a 2", changes[2].a},
            {"b 2", changes[2].b}};
  }
};

class LowRankOf : public testing::TestWithParam<Activation> {};
INSTANTIATE_TEST_SUITE_P(Activations, LowRankOf,
                         testing::Values(Activation::kNone, Activation::kGelu, Activation::kTanh));

TEST_P(LowRankOf, GradientsAreDifferences) {
  const Layers l;
  expect_gradients(l.leaves(), [&] { return linear_low_rank(l.x, l.weights, l.biases, l.changes, GetParam()); });
}

/// As adapters are trained: the weights are constants, and x may be one too.
TEST_P(LowRankOf, GradientsBesideConstants) {
  Layers l;
  for (std::vector<Var>* constants : {&l.weights, &l.biases})
    for (Var& var : *constants) var = Var(var.value());
  const auto forward = [&] { return linear_low_rank(l.x, l.weights, l.biases, l.changes, GetParam()); };
  expect_gradients({{"x", l.x}, {"a", l.changes[0].a}, {"b", l.changes[2].b}}, forward);
  l.x = Var(l.x.value());
  expect_gradients({{"a", l.changes[2].a}, {"b", l.changes[0].b}}, forward);
}

TEST_P(LowRankOf, IsTheProductWithTheMergedWeights) {
  const BackendScope scope(ref_backend());
  const Layers l;
  const Tensor found = linear_low_rank(l.x, l.weights, l.biases, l.changes, GetParam()).value();
  int64_t column = 0;
  for (size_t i = 0; i < l.weights.size(); ++i) {
    const Tensor weight =
        l.changes[i].a.defined() ? merged_weight(l.weights[i].value(), l.changes[i]) : l.weights[i].value();
    const Tensor expected = linear(l.x, Var(weight), l.biases[i], GetParam()).value();
    for (int64_t t = 0; t < 5; ++t)
      for (int64_t m = 0; m < expected.shape()[1]; ++m)
        EXPECT_NEAR(found.data<double>()[t * 11 + column + m], expected.data<double>()[t * expected.shape()[1] + m],
                    1e-12);
    column += expected.shape()[1];
  }
}

TEST(LowRank, MergedWeightByHand) {
  const BackendScope scope(ref_backend());
  const LowRank change{Var(Tensor::of<double>({1, 3}, {1, 2, 3})), Var(Tensor::of<double>({2, 1}, {10, 100})), 0.5};
  const Tensor merged = merged_weight(Tensor::of<double>({2, 3}, {1, 1, 1, 0, 0, 0}), change);
  EXPECT_THAT(std::vector<double>(merged.data<double>(), merged.data<double>() + 6),
              testing::ElementsAre(6, 11, 16, 50, 100, 150));
}

TEST(LowRank, ShapesThatDoNotFitAreRefused) {
  Layers l;
  l.changes[0].b = normal_leaf({3, 1}, 9);
  EXPECT_THROW(linear_low_rank(l.x, l.weights, l.biases, l.changes), Error);
  l.changes = {{}, {}, {}};
  EXPECT_THROW(linear_low_rank(l.x, l.weights, l.biases, l.changes), Error);
  l.changes.pop_back();
  EXPECT_THROW(linear_low_rank(l.x, l.weights, l.biases, l.changes), Error);
}

}  // namespace
}  // namespace cloze::test
