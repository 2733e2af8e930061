// Every operation, in f64 on the reference backend, against differences.
#include <gtest/gtest.h>

#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::expect_gradients;
using test::int_tensor;
using test::normal_leaf;
using test::normal_tensor;

constexpr Activation kAll[] = {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu,
                               Activation::kTanh};
const Dropout kDropout = {.threshold = 16384, .site = 3, .key = 99};

TEST(GradientTest, Linear) {
  for (const Activation activation : kAll) {
    SCOPED_TRACE(static_cast<int>(activation));
    // Seeds of which no sum lies within a step of ReLU's corner.
    const Var x = normal_leaf({5, 3}, 11), weight = normal_leaf({4, 3}, 12), bias = normal_leaf({4}, 13);
    expect_gradients({{"x", x}, {"weight", weight}, {"bias", bias}},
                     [&] { return linear(x, weight, bias, activation); });
    expect_gradients({{"x", x}, {"weight", weight}}, [&] { return linear(x, weight, {}, activation); });
  }
}

TEST(GradientTest, LinearWithConstants) {
  const Tensor x = normal_tensor({5, 3}, 1), weight = normal_tensor({4, 3}, 2), bias = normal_tensor({4}, 3);
  const Var dx = Var::leaf(x), dweight = Var::leaf(weight), dbias = Var::leaf(bias);
  const Activation gelu = Activation::kGelu;
  expect_gradients({{"x", dx}}, [&] { return linear(dx, Var(weight), Var(bias), gelu); });
  expect_gradients({{"weight", dweight}}, [&] { return linear(Var(x), dweight, Var(bias), gelu); });
  expect_gradients({{"bias", dbias}}, [&] { return linear(Var(x), Var(weight), dbias, gelu); });
}

TEST(GradientTest, LinearOfASingleValueUsedTwice) {
  const Var x = normal_leaf({4, 4}, 5);
  expect_gradients({{"x", x}}, [&] { return linear(x, x, {}, Activation::kTanh); });
}

TEST(GradientTest, Attention) {
  const Tensor offsets = int_tensor({0, 1, 1, 5, 8});  // lengths 1, 0, 4, 3
  for (const Dropout& dropout : {Dropout{}, kDropout}) {
    SCOPED_TRACE(dropout.threshold);
    const Var q = normal_leaf({8, 6}, 1), k = normal_leaf({8, 6}, 2), v = normal_leaf({8, 6}, 3);
    for (const int64_t heads : {1, 2, 6}) {
      SCOPED_TRACE(heads);
      expect_gradients({{"q", q}, {"k", k}, {"v", v}}, [&] { return attention(q, k, v, offsets, heads, dropout); });
    }
    expect_gradients({{"x", q}}, [&] { return attention(q, q, q, offsets, 2, dropout); });
  }
}

TEST(GradientTest, AttentionWithConstants) {
  const Tensor offsets = int_tensor({0, 2, 5});
  const Var x(normal_tensor({5, 4}, 1)), leaf = normal_leaf({5, 4}, 2);
  expect_gradients({{"q", leaf}}, [&] { return attention(leaf, x, x, offsets, 2, kDropout); });
  expect_gradients({{"k", leaf}}, [&] { return attention(x, leaf, x, offsets, 2, kDropout); });
  expect_gradients({{"v", leaf}}, [&] { return attention(x, x, leaf, offsets, 2, kDropout); });
}

/// q, k and v as columns of one, two or three tensors, apart or overlapping, with columns that nobody reads.
TEST(GradientTest, AttentionOfColumns) {
  const Tensor offsets = int_tensor({0, 3, 5}), asking = int_tensor({0, 1, 4});
  const Var wide = normal_leaf({5, 14}, 1), other = normal_leaf({5, 9}, 2), few = normal_leaf({4, 6}, 3);
  const auto check = [&](const VarColumns& q, const VarColumns& k, const VarColumns& v, const Tensor& queries) {
    test::NamedLeaves leaves = {{"wide", wide}};
    for (const VarColumns* x : {&q, &k, &v})
      if (!x->of.is(wide)) leaves.emplace_back("other", x->of);
    expect_gradients(leaves, [&] { return attention(q, k, v, 4, offsets, queries, 2, kDropout); });
  };
  check({wide, 0}, {wide, 4}, {wide, 8}, {});
  check({wide, 9}, {wide, 0}, {wide, 5}, {});
  check({wide, 0}, {wide, 2}, {wide, 6}, {});
  check({wide, 1}, {wide, 1}, {wide, 1}, {});
  check({wide, 0}, {other, 5}, {wide, 4}, {});
  check({few, 2}, {wide, 0}, {wide, 7}, asking);
}

TEST(GradientTest, LinearGroup) {
  const Var x = normal_leaf({5, 3}, 1);
  const std::vector<Var> weights = {normal_leaf({4, 3}, 2), Var(normal_tensor({2, 3}, 3)), normal_leaf({1, 3}, 4)};
  const std::vector<Var> biases = {normal_leaf({4}, 5), normal_leaf({2}, 6), Var(normal_tensor({1}, 7))};
  expect_gradients({{"x", x}, {"w0", weights[0]}, {"w2", weights[2]}, {"b0", biases[0]}, {"b1", biases[1]}},
                   [&] { return linear_group(x, weights, biases); });
}

TEST(GradientTest, AddLayerNorm) {
  const Var x = normal_leaf({4, 6}, 1), residual = normal_leaf({4, 6}, 2), gamma = normal_leaf({6}, 3, 0.5, 1),
            beta = normal_leaf({6}, 4);
  for (const Dropout& dropout : {Dropout{}, kDropout}) {
    for (const double eps : {1e-12, 0.1}) {
      SCOPED_TRACE(testing::Message() << dropout.threshold << " " << eps);
      expect_gradients({{"x", x}, {"residual", residual}, {"gamma", gamma}, {"beta", beta}},
                       [&] { return add_layer_norm(x, residual, gamma, beta, eps, dropout); });
      expect_gradients({{"x", x}, {"gamma", gamma}, {"beta", beta}},
                       [&] { return add_layer_norm(x, {}, gamma, beta, eps, dropout); });
      expect_gradients({{"x", x}}, [&] { return add_layer_norm(x, x, gamma, beta, eps, dropout); });
      // Any one of them alone, the others constant.
      const Var cx(x.value()), cr(residual.value()), cg(gamma.value()), cb(beta.value());
      expect_gradients({{"x alone", x}}, [&] { return add_layer_norm(x, cr, cg, cb, eps, dropout); });
      expect_gradients({{"residual alone", residual}},
                       [&] { return add_layer_norm(cx, residual, cg, cb, eps, dropout); });
      expect_gradients({{"gamma alone", gamma}}, [&] { return add_layer_norm(cx, cr, gamma, cb, eps, dropout); });
    }
  }
}

TEST(GradientTest, Embed) {
  const RaggedBatch batch = make_ragged_batch({{4, 0, 4, 1}, {2, 4}}, {{0, 0, 1, 1}, {1, 0}});
  const Var word = normal_leaf({5, 3}, 1), position = normal_leaf({6, 3}, 2), segment = normal_leaf({2, 3}, 3);
  expect_gradients({{"word", word}, {"position", position}, {"segment", segment}},
                   [&] { return embed(batch, word, position, segment); });
  const Var cw(word.value()), cp(position.value()), cs(segment.value());
  expect_gradients({{"word alone", word}}, [&] { return embed(batch, word, cp, cs); });
  expect_gradients({{"position alone", position}}, [&] { return embed(batch, cw, position, cs); });
  expect_gradients({{"segment alone", segment}}, [&] { return embed(batch, cw, cp, segment); });
}

TEST(GradientTest, Dropout) {
  const Var x = normal_leaf({7, 5}, 1);
  expect_gradients({{"x", x}}, [&] { return dropout(x, kDropout); });
  const Var same = dropout(x, {});
  EXPECT_EQ(same.value().raw(), x.value().raw()) << "without dropout nothing is copied";
}

TEST(GradientTest, GatherRows) {
  const Var x = normal_leaf({5, 3}, 1);
  expect_gradients({{"x", x}}, [&] { return gather_rows(x, int_tensor({4, 0, 4, 2})); });
}

TEST(GradientTest, CrossEntropy) {
  const Var logits = normal_leaf({5, 4}, 1, 2);
  const Tensor targets = int_tensor({0, 3, -1, 1, 3}), weights = Tensor::of<double>({4}, {0.5, 1, 2, 3}),
               rows = Tensor::of<double>({5}, {1, 0.25, 3, 0, 2});
  for (const double smoothing : {0.0, 0.1}) {
    SCOPED_TRACE(smoothing);
    expect_gradients({{"plain", logits}}, [&] { return cross_entropy(logits, targets, {}, smoothing); });
    expect_gradients({{"weighted", logits}}, [&] { return cross_entropy(logits, targets, weights, smoothing); });
    expect_gradients({{"rows", logits}}, [&] { return cross_entropy(logits, targets, weights, smoothing, rows); });
  }
}

TEST(GradientTest, MlpWithEverything) {
  // Embeddings, two blocks with residuals and dropout, tied output weights, a loss: one tape with shared values.
  const RaggedBatch batch = make_ragged_batch({{3, 1, 4}, {1, 0}}, {});
  const Var word = normal_leaf({5, 4}, 1), position = normal_leaf({3, 4}, 2), segment = normal_leaf({2, 4}, 3);
  const Var weight = normal_leaf({4, 4}, 4), bias = normal_leaf({4}, 5), gamma = normal_leaf({4}, 6, 0.3, 1),
            beta = normal_leaf({4}, 7);
  const auto forward = [&] {
    Var x = embed(batch, word, position, segment);
    for (uint32_t site = 0; site < 2; ++site) {
      const Dropout drop = {.threshold = 8192, .site = site, .key = 5};
      const Var mixed = attention(linear(x, weight, bias), x, x, batch.offsets, 2, drop);
      x = add_layer_norm(linear(mixed, weight, bias, Activation::kGelu), x, gamma, beta, 1e-5, drop);
    }
    const Var logits = linear(gather_rows(dropout(x, kDropout), int_tensor({0, 3, 4})), word, {});  // [3,5]
    return cross_entropy(logits, int_tensor({2, 0, 4}), {}, 0.1);
  };
  expect_gradients({{"word", word},
                    {"position", position},
                    {"segment", segment},
                    {"weight", weight},
                    {"bias", bias},
                    {"gamma", gamma},
                    {"beta", beta}},
                   forward);
}

}  // namespace
}  // namespace cloze
