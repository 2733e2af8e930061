// compare_sparse TOKENS K M [RUNS]: y = x W^T with a weight of which more and more is zero, dense and sparse in turns:
// from which share of zeros on the sparse product is the faster one, with single zeros and in blocks of four outputs.
// A table in Markdown.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "cloze/backend/cpu/gemm.h"
#include "cloze/backend/cpu/gemm_sparse.h"
#include "cloze/base/rng.h"
#include "cloze/base/thread_team.h"

namespace {

using cloze::Tensor;

/// Normal numbers, of which a share is 0, in each column `block` rows at a time.
Tensor normal(int64_t rows, int64_t columns, double zeros, int64_t block = 1) {
  cloze::Rng rng(1, cloze::RandomStream::kTest);
  const Tensor tensor({rows, columns}, cloze::DType::kF32);
  for (float& value : tensor.values<float>()) value = static_cast<float>(rng.normal());
  for (int64_t first = 0; first < rows; first += block)
    for (int64_t k = 0; k < columns; ++k)
      if (rng.uniform() < zeros)
        for (int64_t row = first; row < std::min(first + block, rows); ++row)
          tensor.data<float>()[row * columns + k] = 0.0f;
  return tensor;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return fmt::print(stderr, "usage: compare_sparse TOKENS K M [RUNS]\n"), 2;
  const int64_t T = std::atoll(argv[1]), K = std::atoll(argv[2]), M = std::atoll(argv[3]);
  const int64_t runs = argc > 4 ? std::atoll(argv[4]) : 30;
  if (T < 1 || K < 1 || M < 1 || runs < 1) return fmt::print(stderr, "all numbers must be at least 1\n"), 2;
  const Tensor x = normal(T, K, 0), y({T, M}, cloze::DType::kF32);
  fmt::print("{} tokens, weight {} x {}, {} threads, the least of {} runs\n\n", T, M, K, cloze::thread_team().size(),
             runs);
  fmt::print(
      "| zeros | dense, us | sparse, us | times as fast | in blocks of {}, us | times as fast |\n"
      "|---:|---:|---:|---:|---:|---:|\n",
      cloze::kSparseGroup);
  for (const double zeros : {0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98}) {
    const Tensor w = normal(M, K, zeros);
    const auto dense = cloze::cpu::pack_transposed(w.data<float>(), M, K);
    const auto single = cloze::sparse_weight(w);
    const auto blocks = cloze::sparse_weight(normal(M, K, zeros, cloze::kSparseGroup));
    const auto sparse = [&](const cloze::SparseWeight& weight) {
      return seconds_of([&] {
        cloze::cpu::multiply_sparse(x.data<float>(), T, weight, nullptr, cloze::Activation::kNone, y.data<float>());
      });
    };
    double dense_seconds = 1e9, single_seconds = 1e9, block_seconds = 1e9;
    for (int64_t run = 0; run < runs; ++run) {
      dense_seconds = std::min(dense_seconds, seconds_of([&] {
                                 cloze::cpu::multiply(x.data<float>(), T, dense, nullptr, cloze::Activation::kNone,
                                                      nullptr, y.data<float>());
                               }));
      single_seconds = std::min(single_seconds, sparse(single));
      block_seconds = std::min(block_seconds, sparse(blocks));
    }
    fmt::print("| {:.0f} % | {:.0f} | {:.0f} | {:.2f} | {:.0f} | {:.2f} |\n", 100 * zeros, 1e6 * dense_seconds,
               1e6 * single_seconds, dense_seconds / single_seconds, 1e6 * block_seconds,
               dense_seconds / block_seconds);
  }
  return 0;
}
