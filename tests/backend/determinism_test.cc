// Inference gives a row the same bits alone, in any batch, at any place of it, and with any number of threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "cases.h"
#include "cloze/base/thread_team.h"
#include "compare.h"
#include "random_tensor.h"

namespace cloze::test {
namespace {

constexpr int64_t kRows = 70;

class Determinism : public testing::Test {
 protected:
  ~Determinism() override { set_thread_count(0); }

  /// rows(begin, end) computes those rows of a batch of kRows as a batch of their own. Batches of every size, from
  /// both ends, on 1 to 4 threads, must have the bits of one thread's rows.
  void expect_rows_alike(const std::function<Tensor(int64_t begin, int64_t end)>& rows) {
    set_thread_count(1);
    const Tensor all = rows(0, kRows);
    for (int threads = 1; threads <= 4; ++threads) {
      set_thread_count(threads);
      for (int64_t T = 1; T <= kRows; ++T) {
        ASSERT_TRUE(same_bits(rows(0, T), all.rows(0, T))) << "first " << T << " rows, threads " << threads;
        ASSERT_TRUE(same_bits(rows(kRows - T, kRows), all.rows(kRows - T, kRows)))
            << "last " << T << " rows, threads " << threads;
      }
    }
  }
};

struct LinearSize {
  int64_t K, M;
  Activation activation;
};
constexpr LinearSize kLinearSizes[] = {{192, 130, Activation::kNone},
                                       {64, 256, Activation::kGelu},
                                       {13, 7, Activation::kTanh},
                                       {384, 65, Activation::kGeluTanh},
                                       {33, 1, Activation::kRelu}};

TEST_F(Determinism, LinearRows) {
  for (const auto& [K, M, activation] : kLinearSizes) {
    const Tensor x = random_f32({kRows, K}, 1), weight = random_f32({M, K}, 2), bias = random_f32({M}, 3);
    const std::unique_ptr<PreparedWeight> prepared = cpu_backend().prepare(weight, Precision::kF32);
    LinearArgs args{
        .x = {}, .weight = weight, .bias = bias, .activation = activation, .prepared = nullptr, .pre = {}, .y = {}};
    const auto rows = [&](int64_t begin, int64_t end) {
      args.x = x.rows(begin, end);
      args.y = Tensor({end - begin, args.weight.shape()[0]}, DType::kF32);
      cpu_backend().linear(args);
      return args.y;
    };
    SCOPED_TRACE(fmt::format("K {} M {}", K, M));
    expect_rows_alike(rows);
    SCOPED_TRACE("prepared");
    args.prepared = prepared.get();
    expect_rows_alike(rows);
  }
}

TEST_F(Determinism, AddLayerNormRows) {
  for (const int64_t H : {7, 64, 130, 312}) {
    SCOPED_TRACE(H);
    const Tensor x = random_f32({kRows, H}, 1), residual = random_f32({kRows, H}, 2);
    const Tensor gamma = random_f32({H}, 3), beta = random_f32({H}, 4);
    expect_rows_alike([&](int64_t begin, int64_t end) {
      const Tensor y({end - begin, H}, DType::kF32);
      cpu_backend().add_layer_norm({.x = x.rows(begin, end),
                                    .residual = residual.rows(begin, end),
                                    .gamma = gamma,
                                    .beta = beta,
                                    .dropout = {},
                                    .eps = 1e-12,
                                    .sum = {},
                                    .mean = {},
                                    .rstd = {},
                                    .y = y});
      return y;
    });
  }
}

/// Training keeps statistics where inference does not: y must not depend on it.
TEST_F(Determinism, UnwantedOutputsChangeNothing) {
  const Tensor x = random_f32({kRows, 96}, 1), vector = random_f32({96}, 3), weight = random_f32({48, 96}, 5);
  const Tensor sum({kRows, 96}, DType::kF32), mean({kRows}, DType::kF32), rstd({kRows}, DType::kF32);
  const Tensor y1({kRows, 96}, DType::kF32), y2({kRows, 96}, DType::kF32), lse({kRows, 4}, DType::kF32);
  AddLayerNormArgs norm{.x = x,
                        .residual = x,
                        .gamma = vector,
                        .beta = vector,
                        .dropout = {},
                        .eps = 1e-12,
                        .sum = sum,
                        .mean = mean,
                        .rstd = rstd,
                        .y = y1};
  cpu_backend().add_layer_norm(norm);
  norm.sum = norm.mean = norm.rstd = Tensor(), norm.y = y2;
  cpu_backend().add_layer_norm(norm);
  EXPECT_TRUE(same_bits(y1, y2)) << "add_layer_norm";
  AttentionArgs attention{.q = x,
                          .k = x,
                          .v = x,
                          .offsets = offsets_of({kRows}),
                          .heads = 4,
                          .scale = 0.2,
                          .dropout = {},
                          .y = y1,
                          .lse = lse};
  cpu_backend().attention(attention);
  attention.lse = Tensor(), attention.y = y2;
  cpu_backend().attention(attention);
  EXPECT_TRUE(same_bits(y1, y2)) << "attention";
  const Tensor joined({kRows, 2 * 96 + 7}, DType::kF32);
  for (int64_t r = 0; r < kRows; ++r)
    for (const int64_t at : {0, 96 + 7}) std::copy_n(x.data<float>() + r * 96, 96, joined.data<float>() + r * 199 + at);
  attention.q = {joined, 0}, attention.k = {joined, 103}, attention.v = {joined, 103}, attention.y.set_zero();
  cpu_backend().attention(attention);
  EXPECT_TRUE(same_bits(y1, y2)) << "attention of columns";
  const Tensor pre({kRows, 48}, DType::kF32), z1({kRows, 48}, DType::kF32), z2({kRows, 48}, DType::kF32);
  LinearArgs linear{
      .x = x, .weight = weight, .bias = {}, .activation = Activation::kGelu, .prepared = nullptr, .pre = pre, .y = z1};
  cpu_backend().linear(linear);
  linear.pre = Tensor(), linear.y = z2;
  cpu_backend().linear(linear);
  EXPECT_TRUE(same_bits(z1, z2)) << "linear";
}

TEST_F(Determinism, EmbedAndSoftmaxRows) {
  constexpr int64_t kWidth = 77;
  Rng rng(9, RandomStream::kTest);
  const Tensor ids({kRows}, DType::kI32), segments({kRows}, DType::kI32), positions({kRows}, DType::kI32);
  for (int64_t t = 0; t < kRows; ++t) {
    ids.data<int32_t>()[t] = static_cast<int32_t>(rng.below(50));
    positions.data<int32_t>()[t] = static_cast<int32_t>(t);
    segments.data<int32_t>()[t] = static_cast<int32_t>(rng.below(2));
  }
  const Tensor word = random_f32({50, kWidth}, 1), position = random_f32({kRows, kWidth}, 2);
  const Tensor segment = random_f32({2, kWidth}, 3), logits = random_f32({kRows, kWidth}, 4);
  expect_rows_alike([&](int64_t begin, int64_t end) {
    const Tensor y({end - begin, kWidth}, DType::kF32);
    cpu_backend().embed({.ids = ids.rows(begin, end),
                         .positions = positions.rows(begin, end),
                         .segments = segments.rows(begin, end),
                         .word = word,
                         .position = position,
                         .segment = segment,
                         .y = y});
    return y;
  });
  expect_rows_alike([&](int64_t begin, int64_t end) {
    const Tensor y({end - begin, kWidth}, DType::kF32);
    cpu_backend().softmax({.x = logits.rows(begin, end), .y = y});
    return y;
  });
}

Tensor attend(const Tensor& qkv, const std::vector<int64_t>& lengths, int64_t heads) {
  const Tensor y(qkv.shape(), DType::kF32);
  cpu_backend().attention({.q = qkv,
                           .k = qkv,
                           .v = qkv,
                           .offsets = offsets_of(lengths),
                           .heads = heads,
                           .scale = 0.3,
                           .dropout = {},
                           .y = y,
                           .lse = {}});
  return y;
}

/// A sequence of each of `lengths` in one batch, then alone, on 1 to 4 threads.
void expect_sequences_alike(const std::vector<int64_t>& lengths, int64_t heads, int64_t width) {
  const int64_t T = offsets_of(lengths).data<int32_t>()[lengths.size()];
  const Tensor qkv = random_f32({T, heads * width}, 5);
  set_thread_count(1);
  const Tensor all = attend(qkv, lengths, heads);
  for (int threads = 1; threads <= 4; ++threads) {
    set_thread_count(threads);
    ASSERT_TRUE(same_bits(attend(qkv, lengths, heads), all)) << "batch, threads " << threads;
    int64_t begin = 0;
    for (const int64_t length : lengths) {
      ASSERT_TRUE(same_bits(attend(qkv.rows(begin, begin + length), {length}, heads), all.rows(begin, begin + length)))
          << "length " << length << " alone, threads " << threads;
      begin += length;
    }
  }
}

std::vector<int64_t> lengths_from(int64_t first, int64_t last, int64_t step) {
  std::vector<int64_t> lengths;
  for (int64_t length = first; length <= last; length += step) lengths.push_back(length);
  return lengths;
}

TEST_F(Determinism, AttentionSequences) {
  expect_sequences_alike(lengths_from(0, 70, 1), 3, 32);
  expect_sequences_alike(lengths_from(71, 512, 49), 2, 16);
  expect_sequences_alike({512, 1, 33, 0, 127}, 1, 7);
}

using SlowDeterminism = Determinism;
TEST_F(SlowDeterminism, AttentionOfEveryLength) {
  for (int64_t first = 1; first <= 512; first += 32)  // batches of up to 32 lengths
    expect_sequences_alike(lengths_from(first, std::min<int64_t>(first + 31, 512), 1), 2, 64);
}

/// Training: same threads, same bits. Every kernel, run twice on the same values.
TEST_F(Determinism, EveryKernelRepeatsItself) {
  constexpr Setting kPlain{DType::kF32, Saved::kRounded, Placement::kPlain};
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    for (const Case& one : all_cases()) {
      if (one.flops > 2e6) continue;
      const Call first = one.make(kPlain), second = one.make(kPlain);
      first.run(cpu_backend());
      second.run(cpu_backend());
      for (size_t i = 0; i < first.outputs.size(); ++i)
        EXPECT_TRUE(same_bits(first.outputs[i].value, second.outputs[i].value))
            << one.kernel << " " << one.name << " " << first.outputs[i].name << ", threads " << threads;
    }
  }
}

/// Order depends on the count alone, so gradient clipping is the same on any machine.
TEST_F(Determinism, SumOfSquaresOnAnyThreads) {
  for (const int64_t n : {1, 4095, 4096, 4097, 100001, 1000003}) {
    const Tensor x = random_f32({n}, 6);
    set_thread_count(1);
    const double expected = cpu_backend().sum_squares(x);
    for (int threads = 2; threads <= 4; ++threads) {
      set_thread_count(threads);
      EXPECT_EQ(cpu_backend().sum_squares(x), expected) << n << " elements, threads " << threads;
    }
  }
}

}  // namespace
}  // namespace cloze::test
