// add: values, gradients, and the same value twice.
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::error_of;
using test::normal_leaf;
using test::weighted_sum;

TEST(Add, ValuesAndTypes) {
  const Var single = add(Var::leaf(Tensor::of<float>({2}, {1, 2})), Var::leaf(Tensor::of<float>({2}, {0.5f, -2})));
  EXPECT_THAT(single.value().values<float>(), testing::ElementsAre(1.5f, 0));
  const Var wide = add(Var::leaf(Tensor::of<double>({1}, {1})), Var::leaf(Tensor::of<double>({1}, {1e-12})));
  EXPECT_EQ(wide.value().data<double>()[0], 1 + 1e-12);
}

TEST(Add, GradientsGoToBoth) {
  const Var a = normal_leaf({3}, 1), b = normal_leaf({3}, 2), twice = normal_leaf({3}, 3);
  const Tensor weights = test::normal_tensor({3}, 4);
  // a also alone, so that its gradient grows after it was handed over: b's must not.
  backward(weighted_sum(add(add(add(a, b), add(twice, twice)), a), weights));
  for (int64_t i = 0; i < 3; ++i) {
    const double w = weights.data<double>()[i];
    EXPECT_DOUBLE_EQ(a.grad().data<double>()[i], 2 * w);
    EXPECT_DOUBLE_EQ(b.grad().data<double>()[i], w);
    EXPECT_DOUBLE_EQ(twice.grad().data<double>()[i], 2 * w);
  }
}

TEST(Add, ShapesAndTypesMustAgree) {
  const Var two = Var::leaf(Tensor::of<float>({2}, {1, 2})), one = Var::leaf(Tensor::of<float>({1}, {1}));
  EXPECT_EQ(error_of([&] { add(two, one); }),
            "shape: [add] both must be of one shape and type, got F32 [2] and F32 [1]");
  EXPECT_THAT(error_of([&] { add(normal_leaf({2}, 1), two); }), testing::HasSubstr("got F64 [2] and F32 [2]"));
}

}  // namespace
}  // namespace cloze
