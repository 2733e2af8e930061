// compare_product M K N [RUNS]: C[M,N] = A[M,K] B[K,N] by Cloze and by oneDNN, side by side, on as many threads
// (CLOZE_NUM_THREADS). Both have B in the form that they like best; that preparation is not timed.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <thread>
#include <vector>

#include "cloze/backend/backend.h"
#include "cloze/base/rng.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

using dnnl::memory;
using Format = memory::format_tag;
using Type = memory::data_type;

struct Size {
  int64_t M, K, N;
  double flops() const { return 2.0 * double(M) * double(K) * double(N); }
};

/// A product of oneDNN: A and C row-major, the weight given as [N,K] and brought into its preferred form.
class OneDnnProduct {
 public:
  OneDnnProduct(const Size& size, Type a_type, Type b_type, Type c_type, const void* a, const void* weight)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    const memory::dims a_dims = {size.M, size.K}, b_dims = {size.K, size.N}, c_dims = {size.M, size.N};
    const memory::desc a_desc(a_dims, a_type, Format::ab), c_desc(c_dims, c_type, Format::ab);
    const dnnl::matmul::desc desc(a_desc, memory::desc(b_dims, b_type, Format::any), c_desc);
    const dnnl::matmul::primitive_desc chosen(desc, engine_);
    name_ = chosen.impl_info_str();
    a_ = memory(a_desc, engine_, const_cast<void*>(a));
    c_ = memory(c_desc, engine_);
    b_ = memory(chosen.weights_desc(), engine_);
    memory plain({b_dims, b_type, Format::ba}, engine_, const_cast<void*>(weight));
    dnnl::reorder(plain, b_).execute(stream_, plain, b_);
    stream_.wait();
    product_ = dnnl::matmul(chosen);
  }
  void run() {
    product_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }
  template <class T>
  const T* result() const {
    return static_cast<const T*>(c_.get_data_handle());
  }
  const std::string& name() const { return name_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  memory a_, b_, c_;
  dnnl::primitive product_;
  std::string name_;
};

struct Engine {
  std::string name;
  std::function<void()> run;
  std::vector<double> seconds = {};
  double median() {
    std::nth_element(seconds.begin(), seconds.begin() + std::ssize(seconds) / 2, seconds.end());
    return seconds[seconds.size() / 2];
  }
};

/// Blocks of calls, the engines in turn, so that all meet the same machine. OpenMP's and Cloze's workers spin for a
/// while after their work, on the same cores: the pause lets them park.
void time_engines(std::vector<Engine>& engines, int runs) {
  constexpr int kBlocks = 5;
  for (int block = 0; block < kBlocks; ++block)
    for (Engine& engine : engines) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      for (int warm = 0; warm < 3; ++warm) engine.run();
      for (int i = 0; i < (runs + kBlocks - 1) / kBlocks; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        engine.run();
        engine.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }
    }
}

Tensor random_f32(const Shape& shape, uint64_t seed) {
  Rng rng(seed, RandomStream::kTest);
  const Tensor tensor(shape, DType::kF32);
  for (float& value : tensor.values<float>()) value = static_cast<float>(rng.normal());
  return tensor;
}

/// Numbers of a byte whose products and sums cannot saturate anywhere: magnitudes up to 63.
template <class T>
std::vector<T> random_bytes(int64_t count, int low, uint64_t seed) {
  Rng rng(seed, RandomStream::kTest);
  std::vector<T> bytes(static_cast<size_t>(count));
  for (T& byte : bytes) byte = static_cast<T>(low + static_cast<int>(rng.below(static_cast<uint64_t>(64 - low))));
  return bytes;
}

/// The largest difference of two f32 products, relative to a product's typical size sqrt(K).
double relative_difference(const Tensor& ours, const float* theirs, int64_t K) {
  double worst = 0;
  for (int64_t i = 0; i < ours.elements(); ++i)
    worst = std::max(worst, std::abs(double{ours.data<float>()[i]} - theirs[i]));
  return worst / std::sqrt(static_cast<double>(K));
}

/// Elements of an integer product that differ from sums taken here, of a few rows and columns.
template <class A>
int64_t wrong_integers(const Size& size, const std::vector<A>& a, const std::vector<int8_t>& weight, const int32_t* c) {
  int64_t wrong = 0;
  for (int64_t m = 0; m < size.M; m += std::max<int64_t>(1, size.M / 7))
    for (int64_t n = 0; n < size.N; n += std::max<int64_t>(1, size.N / 13)) {
      int32_t sum = 0;
      for (int64_t k = 0; k < size.K; ++k) sum += a[size_t(m * size.K + k)] * weight[size_t(n * size.K + k)];
      wrong += sum != c[m * size.N + n];
    }
  return wrong;
}

int compare(const Size& size, int runs) {
  const int threads = thread_team().size();
  omp_set_num_threads(threads);
  const Tensor x = random_f32({size.M, size.K}, 1), weight = random_f32({size.N, size.K}, 2);
  const Tensor y({size.M, size.N}, DType::kF32);
  const auto prepared = cpu_backend().prepare(weight, Precision::kF32);
  const LinearArgs args{.x = x,
                        .weight = weight,
                        .bias = {},
                        .activation = Activation::kNone,
                        .prepared = prepared.get(),
                        .pre = {},
                        .y = y};
  const auto a_s8 = random_bytes<int8_t>(size.M * size.K, -63, 3), w_s8 = random_bytes<int8_t>(size.N * size.K, -63, 4);
  const auto a_u8 = random_bytes<uint8_t>(size.M * size.K, 0, 5);
  OneDnnProduct f32(size, Type::f32, Type::f32, Type::f32, x.raw(), weight.raw());
  OneDnnProduct s8(size, Type::s8, Type::s8, Type::s32, a_s8.data(), w_s8.data());
  OneDnnProduct u8(size, Type::u8, Type::s8, Type::s32, a_u8.data(), w_s8.data());
  std::vector<Engine> engines = {{"cloze f32", [&] { cpu_backend().linear(args); }},
                                 {"onednn f32 " + f32.name(), [&] { f32.run(); }},
                                 {"onednn s8s8s32 " + s8.name(), [&] { s8.run(); }},
                                 {"onednn u8s8s32 " + u8.name(), [&] { u8.run(); }}};
  time_engines(engines, runs);
  fmt::print("{}x{}x{}, {} threads, median of {} runs\n", size.M, size.K, size.N, threads, engines[0].seconds.size());
  const double ours = engines[0].median();
  for (Engine& engine : engines)
    fmt::print("{:<40} {:>10.1f} us {:>8.1f} GFLOP/s  {:>5.2f} of cloze's time\n", engine.name, engine.median() * 1e6,
               size.flops() / engine.median() * 1e-9, engine.median() / ours);
  const double off = relative_difference(y, f32.result<float>(), size.K);
  const int64_t wrong =
      wrong_integers(size, a_s8, w_s8, s8.result<int32_t>()) + wrong_integers(size, a_u8, w_s8, u8.result<int32_t>());
  if (off < 1e-4 && wrong == 0) return 0;
  fmt::print(stderr, "compare_product: results differ: f32 by {:.2g} relative, {} sampled integers\n", off, wrong);
  return 1;
}

}  // namespace
}  // namespace cloze

int main(int argc, char** argv) {
  std::vector<int64_t> numbers;
  for (int i = 1; i < argc; ++i) numbers.push_back(std::atoll(argv[i]));
  if (numbers.size() < 3 || numbers.size() > 4 || *std::min_element(numbers.begin(), numbers.end()) < 1) {
    fmt::print(stderr, "usage: compare_product M K N [RUNS]   (C[M,N] = A[M,K] B[K,N]; default 50 runs)\n");
    return 2;
  }
  try {
    return cloze::compare({numbers[0], numbers[1], numbers[2]}, numbers.size() > 3 ? static_cast<int>(numbers[3]) : 50);
  } catch (const std::exception& error) {
    fmt::print(stderr, "compare_product: {}\n", error.what());
    return 1;
  }
}
