#include "cloze/nn/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::expect_gradients;
using test::int_tensor;
using test::NamedLeaves;
using test::normal_leaf;
using test::normal_tensor;
using ::testing::ElementsAre;

template <class Layer>
std::vector<std::string> names_of(Layer& layer) {
  ParameterList list;
  layer.collect(list);
  std::vector<std::string> names;
  for (const Parameter* parameter : list) names.push_back(parameter->name);
  return names;
}

/// Random values for every parameter of a layer, biases and layer norms too; gives the leaves for a gradient check.
template <class Layer>
NamedLeaves randomize(Layer& layer) {
  ParameterList list;
  layer.collect(list);
  NamedLeaves leaves;
  uint64_t seed = 100;
  for (Parameter* parameter : list) {
    parameter->set(normal_tensor(parameter->shape, ++seed, 0.4, parameter->init == Init::kOnes ? 1 : 0));
    leaves.emplace_back(parameter->name, parameter->var);
  }
  return leaves;
}

const EncoderSizes kSizes = {.hidden = 6,
                             .heads = 2,
                             .head_width = 3,
                             .feed_forward = 10,
                             .activation = Activation::kGelu,
                             .hidden_dropout = 0.2,
                             .attention_dropout = 0.3,
                             .eps = 1e-12};

TEST(LayersTest, Linear) {
  Linear layer("a", 3, 5);
  EXPECT_THAT(names_of(layer), ElementsAre("a.weight", "a.bias"));
  NamedLeaves leaves = randomize(layer);
  EXPECT_EQ(leaves[0].second.value().shape(), Shape({5, 3}));
  leaves.emplace_back("x", normal_leaf({4, 3}, 1));
  expect_gradients(leaves, [&] { return layer.forward(leaves[2].second, Activation::kTanh); });
}

TEST(LayersTest, LinearFrozenGivesTheSameBits) {
  Linear layer("a", 70, 50);
  ParameterList list;
  layer.collect(list);
  for (Parameter* parameter : list) parameter->initialize(1, 0.5);
  const Var x(normal_tensor({9, 70}, 1, 1, 0, DType::kF32));
  const auto bits = [&] {
    const Tensor y = layer.forward(x, Activation::kGelu).value();
    return std::string(static_cast<const char*>(y.raw()), static_cast<size_t>(y.bytes()));
  };
  const std::string recorded = bits();
  std::string plain;
  {
    const NoGrad no_grad;
    plain = bits();
    layer.freeze();
    EXPECT_EQ(bits(), plain);
    list[0]->set(Tensor::zeros({50, 70}, DType::kF32));
    EXPECT_EQ(bits(), plain) << "frozen: the weight as it was";
  }
  EXPECT_NE(bits(), recorded) << "where a gradient is wanted, the weight as it is";
  const NoGrad no_grad;
  layer.thaw();
  EXPECT_NE(bits(), plain) << "thawed: the weight as it is";
}

TEST(LayersTest, LayerNorm) {
  LayerNorm layer("n", 6, 1e-12);
  EXPECT_THAT(names_of(layer), ElementsAre("n.weight", "n.bias"));
  NamedLeaves leaves = randomize(layer);
  leaves.emplace_back("x", normal_leaf({4, 6}, 1));
  leaves.emplace_back("residual", normal_leaf({4, 6}, 2));
  const Dropout dropout = {.threshold = 9999, .site = 1, .key = 2};
  expect_gradients(leaves, [&] { return layer.forward(leaves[2].second, leaves[3].second, dropout); });
}

TEST(LayersTest, Embeddings) {
  Embeddings layer("e", 7, 5, 2, kSizes);
  EXPECT_THAT(names_of(layer), ElementsAre("e.word_embeddings.weight", "e.position_embeddings.weight",
                                           "e.token_type_embeddings.weight", "e.LayerNorm.weight", "e.LayerNorm.bias"));
  const NamedLeaves leaves = randomize(layer);
  EXPECT_EQ(leaves[0].second.value().shape(), Shape({7, 6}));
  EXPECT_EQ(leaves[1].second.value().shape(), Shape({5, 6}));
  EXPECT_EQ(leaves[2].second.value().shape(), Shape({2, 6}));
  EXPECT_EQ(layer.word().value().raw(), leaves[0].second.value().raw());
  const RaggedBatch batch = make_ragged_batch({{1, 2, 6, 2}, {0, 3}}, {{0, 0, 1, 1}, {0, 0}});
  expect_gradients(leaves, [&] {
    ForwardContext context = ForwardContext::training(1, 2);
    return layer.forward(batch, context);
  });
}

TEST(LayersTest, EncoderLayer) {
  EncoderLayer layer("l", kSizes);
  EXPECT_THAT(names_of(layer),
              ElementsAre("l.attention.self.query.weight", "l.attention.self.query.bias", "l.attention.self.key.weight",
                          "l.attention.self.key.bias", "l.attention.self.value.weight", "l.attention.self.value.bias",
                          "l.attention.output.dense.weight", "l.attention.output.dense.bias",
                          "l.attention.output.LayerNorm.weight", "l.attention.output.LayerNorm.bias",
                          "l.intermediate.dense.weight", "l.intermediate.dense.bias", "l.output.dense.weight",
                          "l.output.dense.bias", "l.output.LayerNorm.weight", "l.output.LayerNorm.bias"));
  NamedLeaves leaves = randomize(layer);
  leaves.erase(leaves.begin() + 3);  // the key's bias moves all scores of a query alike: its gradient is 0
  leaves.emplace_back("x", normal_leaf({7, 6}, 1));
  const Tensor offsets = int_tensor({0, 4, 7});
  for (const bool training : {false, true}) {
    SCOPED_TRACE(training);
    expect_gradients(leaves, [&] {
      ForwardContext context = training ? ForwardContext::training(3, 4) : ForwardContext();
      return layer.forward(leaves.back().second, offsets, context);
    });
    const PickedRows picked{int_tensor({1, 3, 4}), int_tensor({0, 2, 3})};
    expect_gradients(leaves, [&] {
      ForwardContext context = training ? ForwardContext::training(3, 4) : ForwardContext();
      return layer.forward_at(picked, leaves.back().second, offsets, context);
    });
  }
}

TEST(LayersTest, PrunedEncoderLayers) {
  struct Case {
    int64_t heads, feed_forward;
    size_t tensors;
  };
  for (const auto& [heads, feed_forward, tensors] : {Case{1, 3, 16}, Case{0, 4, 9}, Case{3, 0, 13}, Case{0, 0, 6}}) {
    SCOPED_TRACE(fmt::format("{} heads, {} neurons", heads, feed_forward));
    EncoderSizes sizes = kSizes;
    sizes.heads = heads;
    sizes.head_width = 4;
    sizes.feed_forward = feed_forward;
    EncoderLayer layer("l", sizes);
    NamedLeaves leaves = randomize(layer);
    ASSERT_EQ(leaves.size(), tensors);
    if (heads > 0) {
      EXPECT_EQ(leaves[0].second.shape(), Shape({heads * 4, 6})) << "query";
      EXPECT_EQ(leaves[6].second.shape(), Shape({6, heads * 4})) << "output";
      leaves.erase(leaves.begin() + 3);  // the key's bias
    }
    leaves.emplace_back("x", normal_leaf({7, 6}, 1));
    const Tensor offsets = int_tensor({0, 4, 7});
    const PickedRows picked{int_tensor({1, 3, 4}), int_tensor({0, 2, 3})};
    const auto forward = [&] {
      ForwardContext context = ForwardContext::training(3, 4);
      return layer.forward(leaves.back().second, offsets, context);
    };
    const auto forward_at = [&] {
      ForwardContext context = ForwardContext::training(3, 4);
      return layer.forward_at(picked, leaves.back().second, offsets, context);
    };
    expect_gradients(leaves, forward);
    expect_gradients(leaves, forward_at);
  }
}

TEST(LayersTest, EncoderLayerRecomputed) {
  EncoderLayer layer("l", kSizes);
  NamedLeaves leaves = randomize(layer);
  leaves.erase(leaves.begin() + 3);
  leaves.emplace_back("x", normal_leaf({7, 6}, 1));
  const Tensor offsets = int_tensor({0, 4, 7});
  uint32_t next_site = 0;
  expect_gradients(leaves, [&] {
    ForwardContext context = ForwardContext::training(3, 4, Activations::kRecomputed);
    const Var y = layer.forward(leaves.back().second, offsets, context);
    next_site = context.next_dropout(0.1).site;
    return y;
  });
  EXPECT_EQ(next_site, 3u) << "a layer takes its three sites once";
}

/// The picked rows have the very bits that they have among all rows, frozen for either use or not.
TEST(LayersTest, EncoderLayerAtPickedRows) {
  EncoderLayer layer("l", {.hidden = 64,
                           .heads = 4,
                           .head_width = 16,
                           .feed_forward = 96,
                           .activation = Activation::kGelu,
                           .hidden_dropout = 0.1,
                           .attention_dropout = 0.1,
                           .eps = 1e-12});
  ParameterList list;
  layer.collect(list);
  for (Parameter* parameter : list) parameter->initialize(1, 0.3);
  const Var x(normal_tensor({40, 64}, 1, 1, 0, DType::kF32));
  const Tensor offsets = int_tensor({0, 13, 14, 40});
  const PickedRows picked{int_tensor({0, 12, 13, 20, 39}), int_tensor({0, 2, 3, 5})};
  const NoGrad no_grad;
  ForwardContext context;
  const auto bits = [](const Tensor& y) {
    return std::string(static_cast<const char*>(y.raw()), static_cast<size_t>(y.bytes()));
  };
  const std::string all = bits(layer.forward(x, offsets, context).value());
  const std::string wanted = bits(gather_rows(layer.forward(x, offsets, context), picked.rows).value());
  EXPECT_EQ(bits(layer.forward_at(picked, x, offsets, context).value()), wanted);
  for (const auto rows : {EncoderLayer::Rows::kAll, EncoderLayer::Rows::kPicked}) {
    layer.freeze(rows);
    EXPECT_EQ(bits(layer.forward_at(picked, x, offsets, context).value()), wanted);
    EXPECT_EQ(bits(layer.forward(x, offsets, context).value()), all);
  }
}

TEST(ForwardContextTest, EvaluationHasNoDropout) {
  ForwardContext context;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(context.next_dropout(0.5).active());
}

TEST(ForwardContextTest, EachSiteAndPassHasItsOwnMask) {
  ForwardContext context = ForwardContext::training(1, 7), again = ForwardContext::training(1, 7);
  const Dropout first = context.next_dropout(0.1), second = context.next_dropout(0.1);
  EXPECT_EQ(first.threshold, 6554u);
  EXPECT_EQ(first.key, second.key);
  EXPECT_NE(first.site, second.site);
  const Dropout same = again.next_dropout(0.1);
  EXPECT_EQ(same.key, first.key);
  EXPECT_EQ(same.site, first.site);
  EXPECT_NE(ForwardContext::training(1, 8).next_dropout(0.1).key, first.key) << "another pass";
  EXPECT_NE(ForwardContext::training(2, 7).next_dropout(0.1).key, first.key) << "another seed";
}

TEST(ForwardContextTest, SitesDoNotMoveWhereADropoutIsOff) {
  // So that a config with one dropout set to 0 keeps the masks of the others.
  ForwardContext a = ForwardContext::training(1, 1), b = ForwardContext::training(1, 1);
  EXPECT_TRUE(a.next_dropout(0.5).active());
  EXPECT_FALSE(b.next_dropout(0).active());
  EXPECT_EQ(a.next_dropout(0.5).site, b.next_dropout(0.5).site);
}

TEST(ForwardContextTest, ProbabilitiesNearOneStayBelowIt) {
  ForwardContext context = ForwardContext::training(1, 1);
  EXPECT_EQ(context.next_dropout(0.9999999).threshold, 65535u) << "65536 would scale by infinity";
}

}  // namespace
}  // namespace cloze
