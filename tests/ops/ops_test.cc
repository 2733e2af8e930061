// What the operations give, refuse and do with nothing; their kernels are tested in tests/backend.
#include "cloze/ops/ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::error_of;
using test::int_tensor;
using ::testing::Each;
using ::testing::ElementsAre;

Var constant(const Shape& shape) {
  return Var(Tensor::full(shape, DType::kF32, 0.5));
}

TEST(OpsErrors, Linear) {
  EXPECT_EQ(error_of([] {
              linear(constant({2, 3}), constant({4, 5}), {});
            }),
            "shape: [linear] x must be [T,K] and weight [M,K], got [2, 3] and [4, 5]");
  EXPECT_EQ(error_of([] {
              linear(constant({3}), constant({4, 3}), {});
            }),
            "shape: [linear] x must be [T,K] and weight [M,K], got [3] and [4, 3]");
  EXPECT_EQ(error_of([] {
              linear(constant({2, 3}), constant({4, 3}), constant({3}));
            }),
            "shape: [linear] bias must be [4], got [3]");
}

TEST(OpsErrors, Attention) {
  const Var x = constant({4, 6});
  const auto with_offsets = [&](const Tensor& offsets) {
    return error_of([&] { attention(x, x, x, offsets, 2, {}); });
  };
  EXPECT_EQ(error_of([&] {
              attention(x, constant({4, 5}), x, int_tensor({0, 4}), 2, {});
            }),
            "shape: [attention] q, k, v must be [T,H] alike, got [4, 6], [4, 5], [4, 6]");
  EXPECT_EQ(error_of([&] {
              attention(x, x, x, int_tensor({0, 4}), 4, {});
            }),
            "shape: [attention] 6 columns do not split into 4 heads");
  EXPECT_EQ(error_of([&] {
              attention(x, x, x, int_tensor({0, 4}), 0, {});
            }),
            "shape: [attention] 6 columns do not split into 0 heads");
  EXPECT_EQ(with_offsets(int_tensor({0, 3})), "shape: [attention] offsets must run from 0 to 4, they run from 0 to 3");
  EXPECT_EQ(with_offsets(int_tensor({1, 4})), "shape: [attention] offsets must run from 0 to 4, they run from 1 to 4");
  EXPECT_EQ(with_offsets(int_tensor({0, 3, 2, 4})),
            "shape: [attention] sequence 1 goes from token 3 to 2; it must have 0 to 65536 tokens");
  EXPECT_EQ(with_offsets(Tensor::of<int64_t>({2}, {0, 4})),
            "shape: [attention] offsets must be [B+1] of I32, got [2] of I64");
  EXPECT_EQ(with_offsets(int_tensor({})), "shape: [attention] offsets must be [B+1] of I32, got [0] of I32");
  const Var tall = constant({65537, 1});
  EXPECT_EQ(error_of([&] {
              attention(tall, tall, tall, int_tensor({0, 65537}), 1, {});
            }),
            "shape: [attention] sequence 0 goes from token 0 to 65537; it must have 0 to 65536 tokens");
}

TEST(OpsErrors, AddLayerNorm) {
  const Var x = constant({4, 6}), row = constant({6});
  EXPECT_EQ(error_of([&] { add_layer_norm(row, {}, row, row, 0.1, {}); }),
            "shape: [add_layer_norm] x must be [T,H], got [6]");
  EXPECT_EQ(error_of([&] {
              add_layer_norm(x, constant({3, 6}), row, row, 0.1, {});
            }),
            "shape: [add_layer_norm] residual must be [4, 6] as x, got [3, 6]");
  EXPECT_EQ(error_of([&] { add_layer_norm(x, {}, row, constant({5}), 0.1, {}); }),
            "shape: [add_layer_norm] gamma and beta must be [6], got [6] and [5]");
}

TEST(OpsErrors, Embed) {
  const Var word = constant({10, 4}), position = constant({3, 4}), segment = constant({2, 4});
  const auto refusal = [&](const RaggedBatch& batch) {
    return error_of([&] { embed(batch, word, position, segment); });
  };
  EXPECT_EQ(refusal(make_ragged_batch({{1}, {9, 10}}, {})),
            "value: [embed] id 10 at token 2 is outside the table of 10 rows");
  EXPECT_EQ(refusal(make_ragged_batch({{-1}}, {})), "value: [embed] id -1 at token 0 is outside the table of 10 rows");
  EXPECT_EQ(refusal(make_ragged_batch({{1, 1, 1, 1}}, {})),
            "value: [embed] position 3 at token 3 is outside the table of 3 rows");
  EXPECT_EQ(refusal(make_ragged_batch({{1, 1}}, {{0, 2}})),
            "value: [embed] segment 2 at token 1 is outside the table of 2 rows");
  const RaggedBatch batch = make_ragged_batch({{1}}, {});
  EXPECT_EQ(error_of([&] { embed(batch, constant({10}), position, segment); }),
            "shape: [embed] word must be [V,H], got [10]");
  EXPECT_EQ(error_of([&] {
              embed(batch, word, position, constant({2, 5}));
            }),
            "shape: [embed] position and segment must have 4 columns as word, got [2, 5]");
  RaggedBatch torn = make_ragged_batch({{1, 1, 1}}, {});
  torn.segments = int_tensor({0});
  EXPECT_THAT(refusal(torn), ::testing::StartsWith("shape: [embed] ")) << "else the kernel reads past the segments";
}

TEST(OpsErrors, GatherRows) {
  EXPECT_EQ(error_of([] {
              gather_rows(constant({3, 2}), int_tensor({0, 3}));
            }),
            "value: [gather_rows] a row outside 0 to 2");
  EXPECT_EQ(error_of([] {
              gather_rows(constant({3, 2}), int_tensor({-1}));
            }),
            "value: [gather_rows] a row outside 0 to 2");
  EXPECT_EQ(error_of([] { gather_rows(constant({3}), int_tensor({0})); }),
            "shape: [gather_rows] x must be [T,H] and rows [R] of I32, got [3] and [1]");
}

TEST(OpsErrors, CrossEntropyAndSoftmax) {
  const Var logits = constant({2, 3});
  EXPECT_EQ(error_of([&] { cross_entropy(logits, int_tensor({1})); }),
            "shape: [cross_entropy] logits must be [R,C] and targets [R] of I32, got [2, 3] and [1]");
  EXPECT_EQ(error_of([&] {
              cross_entropy(logits, int_tensor({1, 3}));
            }),
            "value: [cross_entropy] a target outside -1 to 2");
  EXPECT_EQ(error_of([&] {
              cross_entropy(logits, int_tensor({1, -2}));
            }),
            "value: [cross_entropy] a target outside -1 to 2");
  EXPECT_EQ(error_of([&] {
              cross_entropy(logits, int_tensor({1, 1}), Tensor::full({2}, DType::kF32, 1));
            }),
            "shape: [cross_entropy] class_weight must be [3], got [2]");
  EXPECT_EQ(error_of([&] {
              cross_entropy(logits, int_tensor({1, 1}), {}, 1.0);
            }),
            "value: [cross_entropy] label_smoothing must be in [0, 1), got 1");
  EXPECT_EQ(error_of([] { softmax(Tensor::full({3}, DType::kF32, 1)); }),
            "shape: [softmax] logits must be [R,C], got [3]");
}

class OpsOnBoth : public ::testing::TestWithParam<const char*> {
 protected:
  BackendScope scope_{GetParam() == std::string("ref") ? ref_backend() : cpu_backend()};
};
INSTANTIATE_TEST_SUITE_P(Backends, OpsOnBoth, ::testing::Values("ref", "cpu"),
                         [](const auto& row) { return row.param; });

TEST_P(OpsOnBoth, CrossEntropyByHand) {
  const Var logits = Var::leaf(Tensor::of<float>({2, 2}, {0, std::log(3.f), 5, 5}));
  const Var loss = cross_entropy(logits, int_tensor({1, -1}));
  EXPECT_FLOAT_EQ(loss.value().data<float>()[0], -std::log(0.75f));
  backward(loss, 2);
  const auto gradient = logits.grad().values<float>();
  EXPECT_FLOAT_EQ(gradient[0], 0.5f);
  EXPECT_FLOAT_EQ(gradient[1], -0.5f);
  EXPECT_EQ(gradient[2], 0);
  EXPECT_EQ(gradient[3], 0);
  const Tensor p = softmax(logits.value());
  EXPECT_FLOAT_EQ(p.data<float>()[0], 0.25f);
  EXPECT_FLOAT_EQ(p.data<float>()[3], 0.5f);
}

TEST_P(OpsOnBoth, NothingGivesNothing) {
  // A batch without masked words: no rows, a loss of 0, and gradients of 0 everywhere.
  const Var x = Var::leaf(Tensor::full({3, 4}, DType::kF32, 1)), word = Var::leaf(Tensor::full({5, 4}, DType::kF32, 1));
  const Var gamma = Var::leaf(Tensor::full({4}, DType::kF32, 1)), beta = Var::leaf(Tensor::full({4}, DType::kF32, 1));
  const Var rows = gather_rows(x, int_tensor({}));
  EXPECT_EQ(rows.value().shape(), Shape({0, 4}));
  const Var normed =
      add_layer_norm(linear(rows, word, {}, Activation::kGelu), {}, Var(Tensor::full({5}, DType::kF32, 1)),
                     Var(Tensor::full({5}, DType::kF32, 1)), 1e-12, {});
  const Var loss = cross_entropy(normed, int_tensor({}));
  EXPECT_EQ(loss.value().data<float>()[0], 0);
  backward(loss);
  EXPECT_THAT(x.grad().values<float>(), Each(0.f));
  EXPECT_THAT(word.grad().values<float>(), Each(0.f));
  const Var skipped = cross_entropy(x, int_tensor({-1, -1, -1}));
  EXPECT_EQ(skipped.value().data<float>()[0], 0);
  EXPECT_EQ(attention(rows, rows, rows, int_tensor({0}), 2, {}).value().elements(), 0);
  EXPECT_EQ(embed(make_ragged_batch({}, {}), word, word, word).value().shape(), Shape({0, 4}));
}

TEST_P(OpsOnBoth, DropoutKeepsTheRightShare) {
  constexpr int64_t kCount = 1 << 20;
  const Var x(Tensor::full({kCount}, DType::kF32, 1));
  for (const uint32_t threshold : {655u, 6554u, 32768u, 60000u}) {
    const Dropout setting = {.threshold = threshold, .site = 1, .key = 42};
    const Tensor dropped = dropout(x, setting).value();
    const auto y = dropped.values<float>();
    const auto kept = static_cast<double>(std::ranges::count_if(y, [](float v) { return v != 0; }));
    const double p = 1 - threshold / 65536.0;
    EXPECT_NEAR(kept / kCount, p, 5 * std::sqrt(p * (1 - p) / kCount)) << threshold;
    for (const float v : y) ASSERT_TRUE(v == 0 || v == static_cast<float>(setting.scale())) << v;
  }
}

/// Places where dropout of ones gives 0.
std::vector<bool> mask_of(const Dropout& setting) {
  const Tensor y = dropout(Var(Tensor::full({4096}, DType::kF32, 1)), setting).value();
  std::vector<bool> dropped;
  for (const float v : y.values<float>()) dropped.push_back(v == 0);
  return dropped;
}

TEST_P(OpsOnBoth, DropoutMasksDifferBySiteAndKey) {
  const Dropout base = {.threshold = 32768, .site = 1, .key = 42};
  EXPECT_EQ(mask_of(base), mask_of(base));
  Dropout site = base, key = base, high = base;
  site.site = 2;
  key.key = 43;
  high.key += uint64_t{1} << 32;
  for (const Dropout& other : {site, key, high}) {
    const auto a = mask_of(base), b = mask_of(other);
    int same = 0;
    for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
    EXPECT_NEAR(same, 2048, 5 * 32) << "independent masks agree on half";
  }
}

}  // namespace
}  // namespace cloze
