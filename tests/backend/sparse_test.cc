// The product with a weight of mostly zeros: the numbers of the dense one, on every SIMD target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cloze/backend/cpu/gemm.h"
#include "cloze/backend/cpu/gemm_sparse.h"
#include "cloze/backend/int8.h"
#include "cloze/base/error.h"
#include "cloze/base/rng.h"
#include "cloze/base/thread_team.h"
#include "simd_target.h"

namespace cloze::test {
namespace {

/// Normal numbers, of which about `zeros` are 0, and the whole first row.
Tensor mostly_zeros(const Shape& shape, double zeros, uint64_t seed = 7) {
  Rng rng(seed, RandomStream::kTest);
  const Tensor tensor(shape, DType::kF32);
  for (float& value : tensor.values<float>()) {
    const float normal = static_cast<float>(rng.normal());
    value = rng.uniform() < zeros ? 0.0f : normal;
  }
  if (zeros > 0 && shape[0] > 1) std::fill_n(tensor.data<float>(), shape[1], 0.0f);
  return tensor;
}

/// The same with rows 4i to 4i + 3 zero where row 4i is, but for every fifth such group.
Tensor zeros_in_blocks(int64_t M, int64_t K, double zeros) {
  const Tensor tensor = mostly_zeros({M, K}, 0), pattern = mostly_zeros({M + 1, K}, zeros, 8).rows(1, M + 1);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k)
      if (pattern.data<float>()[(m / 4 % 5 == 4 ? m : m / 4 * 4) * K + k] == 0) tensor.data<float>()[m * K + k] = 0.0f;
  return tensor;
}

TEST(Sparse, TheSumsAreThoseOfTheDenseProduct) {
  const int64_t shapes[][3] = {{1, 1, 1},    {3, 7, 5},     {16, 64, 33}, {33, 64, 32}, {65, 100, 31},
                               {70, 33, 70}, {128, 96, 64}, {5, 768, 3},  {9, 40, 533}};
  for (const auto& [T, K, M] : shapes) {
    const Tensor x = mostly_zeros({T, K}, 0), bias = mostly_zeros({M}, 0);
    for (const auto& [zeros, blocks] :
         {std::pair(0.0, false), {0.7, false}, {0.7, true}, {0.97, false}, {1.0, false}}) {
      const Tensor w = blocks ? zeros_in_blocks(M, K, zeros) : mostly_zeros({M, K}, zeros);
      for (const int64_t target : simd_targets()) {
        const SimdTarget chosen(target);
        const Tensor dense({T, M}, DType::kF32), sparse = Tensor::full({T, M}, DType::kF32, std::nan(""));
        cpu::multiply(x.data<float>(), T, cpu::pack_transposed(w.data<float>(), M, K), bias.data<float>(),
                      Activation::kGelu, nullptr, dense.data<float>());
        cpu::multiply_sparse(x.data<float>(), T, sparse_weight(w), bias.data<float>(), Activation::kGelu,
                             sparse.data<float>());
        for (int64_t i = 0; i < T * M; ++i)
          ASSERT_EQ(sparse.data<float>()[i], dense.data<float>()[i])
              << T << "x" << K << "x" << M << " with " << zeros << (blocks ? " zeros in blocks" : " zeros")
              << ", element " << i << " on " << simd_target_name(target);
      }
    }
  }
}

TEST(Sparse, GroupsOfRowsWithTheSamePlacesAreFound) {
  // Rows 0 to 3 have numbers at 1 and 2, rows 4 to 7 at 0 but for row 6, row 8 has no group.
  const Tensor w = Tensor::zeros({9, 3}, DType::kF32);
  for (int64_t m = 0; m < 4; ++m) w.data<float>()[3 * m + 1] = w.data<float>()[3 * m + 2] = 1;
  for (int64_t m = 4; m < 8; ++m) w.data<float>()[3 * m + (m == 6 ? 1 : 0)] = 1;
  const auto shared_of = [](const SparseWeight& weight) {
    return std::vector<uint8_t>(weight.shared.values<uint8_t>().begin(), weight.shared.values<uint8_t>().end());
  };
  const SparseWeight weight = sparse_weight(w);
  EXPECT_EQ(shared_of(weight), (std::vector<uint8_t>{1, 0, 0}));
  EXPECT_DOUBLE_EQ(weight.shared_rows(), 4.0 / 9);
  EXPECT_EQ(shared_of(sparse_weight(sparse_bits(weight), weight.values, 3)), (std::vector<uint8_t>{1, 0, 0}));
  const SparseWeight* parts[] = {&weight, &weight};
  EXPECT_EQ(shared_of(join_sparse(parts)), (std::vector<uint8_t>{1, 0, 0, 0, 0})) << "the second begins within a group";
}

TEST(Sparse, TheBackendTakesItWhereItIsTheFasterOne) {
  const auto takes_sparse = [](const Tensor& weight) {
    const auto kept = cpu_backend().prepare(sparse_weight(weight));
    const auto prepared = cpu_backend().prepare(weight, Precision::kF32);
    const bool sparse = dynamic_cast<const SparseWeight*>(prepared.get()) != nullptr;
    EXPECT_EQ(dynamic_cast<const SparseWeight*>(kept.get()) != nullptr, sparse);
    return sparse;
  };
  EXPECT_FALSE(takes_sparse(mostly_zeros({64, 64}, cpu::kSparseFrom - 0.1)));
  EXPECT_TRUE(takes_sparse(mostly_zeros({64, 64}, cpu::kSparseFromWide + 0.1)));
  EXPECT_FALSE(takes_sparse(zeros_in_blocks(16, 640, cpu::kSparseFromBlocks - 0.05)));
  EXPECT_TRUE(takes_sparse(zeros_in_blocks(16, 640, cpu::kSparseFromBlocks + 0.05)));
  // The share that was asked for, in round numbers: a weight meets it but for half a number.
  const Tensor four_fifths = mostly_zeros({126, 126}, 0);
  for (int64_t i = 0; i < four_fifths.elements(); ++i)
    if (i % 5 != 0) four_fifths.data<float>()[i] = 0.0f;
  EXPECT_LT(zero_share(four_fifths), cpu::kSparseFromWide);
  EXPECT_TRUE(takes_sparse(four_fifths));
  {
    const SimdTarget best(hwy::SupportedTargets());
    const bool wide = (hwy::SupportedTargets() & (HWY_AVX3 | HWY_AVX3_DL)) != 0;
    EXPECT_EQ(takes_sparse(mostly_zeros({64, 64}, 0.75)), !wide);
  }
  const SimdTarget narrow(0);
  EXPECT_TRUE(takes_sparse(mostly_zeros({64, 64}, cpu::kSparseFrom + 0.05)));
  const Tensor w = mostly_zeros({40, 30}, 0.9), x = mostly_zeros({9, 30}, 0);
  const auto weight = cpu_backend().prepare(w, Precision::kF32);
  const Tensor without({9, 40}, DType::kF32), with({9, 40}, DType::kF32);
  const auto multiply = [&](const PreparedWeight* given, const Tensor& y) {
    cpu_backend().linear(
        {.x = x, .weight = w, .bias = {}, .activation = Activation::kTanh, .prepared = given, .pre = {}, .y = y});
  };
  multiply(weight.get(), with);
  multiply(nullptr, without);
  EXPECT_TRUE(std::ranges::equal(with.values<float>(), without.values<float>()));
  // No rows: nothing to do.
  cpu::multiply_sparse(nullptr, 0, sparse_weight(w), nullptr, Activation::kNone, nullptr);
  EXPECT_DOUBLE_EQ(zero_share(Tensor::of({1, 4}, std::vector<float>{0, -0.0f, 1, 0})), 0.75);
}

TEST(Sparse, BitsSayWhereTheNumbersStand) {
  // Row 0: 1 at 0 and 2 at 9; row 1: nothing; row 2: 3 at 8.
  const Tensor bits = Tensor::of({3, 2}, std::vector<uint8_t>{1, 2, 0, 0, 0, 1});
  const Tensor values = Tensor::of({3}, std::vector<float>{1, 2, 3});
  const SparseWeight weight = sparse_weight(bits, values, 10);
  std::vector<float> expected(30, 0);
  expected[0] = 1, expected[9] = 2, expected[28] = 3;
  EXPECT_TRUE(std::ranges::equal(weight.expand().values<float>(), expected));
  EXPECT_TRUE(std::ranges::equal(sparse_bits(weight).values<uint8_t>(), bits.values<uint8_t>()));
  EXPECT_DOUBLE_EQ(weight.zeros(), 0.9);
  EXPECT_THROW(sparse_weight(bits, values, 9), Error) << "a number beyond the row";
  EXPECT_THROW(sparse_weight(bits, values, 17), Error) << "too few bits a row";
  EXPECT_THROW(sparse_weight(bits, values.rows(0, 2), 10), Error) << "too few numbers";
}

TEST(Sparse, JoinedRowsStandBelowEachOther) {
  const Tensor a = mostly_zeros({5, 30}, 0.8), b = mostly_zeros({3, 30}, 0.5), all({8, 30}, DType::kF32);
  all.rows(0, 5).copy_from(a);
  all.rows(5, 8).copy_from(b);
  const SparseWeight x = sparse_weight(a), y = sparse_weight(b);
  const CompactWeight* parts[] = {&x, &y};
  const auto joined = join_compact(parts);
  ASSERT_NE(joined, nullptr);
  EXPECT_TRUE(std::ranges::equal(joined->expand().values<float>(), all.values<float>()));
  const Int8Weight z = quantize_weight(b);
  const CompactWeight* mixed[] = {&x, &z};
  EXPECT_EQ(join_compact(mixed), nullptr);
}

TEST(Sparse, BackendsComputeAKeptWeightAsTheFloats) {
  const Tensor x = mostly_zeros({9, 30}, 0);
  for (const double zeros : {0.5, 0.9}) {
    const Tensor w = mostly_zeros({40, 30}, zeros);
    for (const Backend* backend : {&ref_backend(), &cpu_backend()}) {
      const auto kept = backend->prepare(sparse_weight(w));
      const Tensor with({9, 40}, DType::kF32), without({9, 40}, DType::kF32);
      backend->linear({.x = x,
                       .weight = {},
                       .bias = {},
                       .activation = Activation::kGelu,
                       .prepared = kept.get(),
                       .pre = {},
                       .y = with});
      backend->linear({.x = x,
                       .weight = w,
                       .bias = {},
                       .activation = Activation::kGelu,
                       .prepared = nullptr,
                       .pre = {},
                       .y = without});
      EXPECT_TRUE(std::ranges::equal(with.values<float>(), without.values<float>())) << backend->name() << " " << zeros;
    }
  }
}

TEST(Sparse, ThreadsChangeNoBit) {
  const int64_t T = 150, K = 200, M = 300;
  const Tensor x = mostly_zeros({T, K}, 0);
  for (const Tensor& w : {mostly_zeros({M, K}, 0.9), zeros_in_blocks(M, K, 0.7)}) {
    const SparseWeight packed = sparse_weight(w);
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 5}) {
      set_thread_count(threads);
      const Tensor y({T, M}, DType::kF32);
      cpu::multiply_sparse(x.data<float>(), T, packed, nullptr, Activation::kRelu, y.data<float>());
      results.emplace_back(y.values<float>().begin(), y.values<float>().end());
    }
    set_thread_count(0);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

}  // namespace
}  // namespace cloze::test
