#include "cloze/optim/zero_mask.h"

#include <gmock/gmock.h>

namespace cloze {
namespace {

using ::testing::ElementsAre;

TEST(ZeroMask, HoldsTheZerosThatWereThere) {
  Parameter a = {"bert.encoder.layer.0.output.dense.weight", {2, 3}, Init::kZeros, Decay::kYes, {}},
            b = {"bert.encoder.layer.0.output.dense.bias", {2}, Init::kZeros, Decay::kNo, {}},
            c = {"bert.embeddings.word_embeddings.weight", {2, 2}, Init::kZeros, Decay::kYes, {}};
  a.set(Tensor::of<float>({2, 3}, {0, 0, 1, 2, -0.0f, 3}));
  b.set(Tensor::of<float>({2}, {0, 1}));
  c.set(Tensor::zeros({2, 2}, DType::kF32));
  const ParameterList products = encoder_products({&a, &b, &c});
  ASSERT_THAT(products, ElementsAre(&a)) << "biases and embeddings are no products";
  ZeroMask mask(products);
  EXPECT_EQ(mask.held(), 3);
  for (float& value : a.var.value().values<float>()) value = 7;
  mask.apply();
  EXPECT_THAT(a.var.value().values<float>(), ElementsAre(0, 0, 7, 7, 0, 7));
}

}  // namespace
}  // namespace cloze
