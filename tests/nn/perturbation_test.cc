// The fast gradient method's change of the embeddings.
#include "cloze/nn/perturbation.h"

#include "cloze/nn/layers.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using namespace test;

const Tensor kOffsets = int_tensor({0, 2, 3});

/// sum(c * x): the gradient is c, and each sequence's change is size |x| c / |c|.
TEST(InputPerturbation, EachSequenceMovesByItsShareAlongItsGradient) {
  const Var x = Var::leaf(Tensor::of<double>({3, 2}, {1, -1, 1, 1, 0.6, 0.8}));
  const Tensor c = Tensor::of<double>({3, 2}, {1, 2, 2, 4, 0, -3});
  InputPerturbation perturbation(5);
  const Var first = perturbation.add_to(x, kOffsets);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(element(first.value(), i), element(x.value(), i));
  backward(weighted_sum(first, c));
  perturbation.turn();
  const Var second = perturbation.add_to(x, kOffsets);
  const std::vector<double> expected = {2, 4, 4, 8, 0, -5};
  for (int64_t i = 0; i < 6; ++i)
    EXPECT_NEAR(element(second.value(), i) - element(x.value(), i), expected[static_cast<size_t>(i)], 1e-14) << i;
  x.clear_grad();
  backward(weighted_sum(second, c));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(element(x.grad(), i), element(c, i)) << "the change is a constant";
}

TEST(InputPerturbation, ASequenceWithoutGradientStays) {
  const Var x = Var::leaf(Tensor::of<double>({3, 2}, {1, 2, 3, 4, 0.6, 0.8}));
  InputPerturbation perturbation(1);
  backward(weighted_sum(perturbation.add_to(x, kOffsets), Tensor::of<double>({3, 2}, {0, 0, 0, 0, 1, 0})));
  perturbation.turn();
  const Tensor after = perturbation.add_to(x, kOffsets).value();
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(element(after, i) - element(x.value(), i), i == 4 ? 1 : 0, 1e-15) << i;
}

TEST(InputPerturbation, MustHaveGoneBackFirst) {
  InputPerturbation perturbation(1);
  EXPECT_THROW(perturbation.turn(), Error);
}

}  // namespace
}  // namespace cloze
