// adamw_rows against adamw, and bf16 moments against ref, on every SIMD target that the processor has.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cases.h"
#include "cloze/base/thread_team.h"
#include "compare.h"
#include "hwy/targets.h"
#include "random_tensor.h"

namespace cloze::test {
namespace {

class AdamWTargets : public testing::Test {
 protected:
  ~AdamWTargets() override {
    set_thread_count(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  /// check() with the kernels of each target.
  template <class Check>
  void on_each_target(Check check) {
    for (const int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, int64_t{HWY_SSE4}, int64_t{0}}) {
      if ((target & hwy::SupportedTargets()) != target) continue;
      hwy::GetChosenTarget().Update(target);
      SCOPED_TRACE(target == 0 ? "baseline" : hwy::TargetName(target));
      check();
    }
  }
};

/// A table, its moments, and steps of AdamW by whole tables or by rows.
struct Table {
  Table(int64_t rows, int64_t width, DType moments)
      : param(random_f32({rows, width}, 1)),
        m(Tensor({rows, width}, moments)),
        v(Tensor({rows, width}, moments)),
        done(Tensor::zeros({rows}, DType::kI32)) {
    m.set_zero(), v.set_zero();
  }
  AdamWStep step_of(int64_t number) const {
    const double count = static_cast<double>(number);
    return {.grad_scale = 0.7,
            .lr = 0.01 * count,
            .step = number,
            .correction1 = 1 - std::pow(0.9, count),
            .correction2 = 1 - std::pow(0.999, count)};
  }
  void whole(const Backend& backend, int64_t number, const Tensor& grad) const {
    const AdamWStep step = step_of(number);
    backend.adamw({.param = param,
                   .grad = grad,
                   .m = m,
                   .v = v,
                   .grad_scale = step.grad_scale,
                   .lr = step.lr,
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .eps = 1e-8,
                   .decay = 0.1,
                   .step = number,
                   .site = 3});
  }
  void rows(const std::vector<AdamWStep>& steps, const Tensor& chosen, const Tensor& grad) const {
    cpu_backend().adamw_rows({.param = param,
                              .m = m,
                              .v = v,
                              .done = done,
                              .rows = chosen,
                              .grad = grad,
                              .steps = steps,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .decay = 0.1,
                              .site = 3});
  }
  Tensor param, m, v, done;
};

TEST_F(AdamWTargets, RowsHaveTheBitsOfWholeSteps) {
  constexpr int64_t kRows = 23, kSteps = 12;
  for (const int64_t width : {1, 7, 65, 130})
    for (const DType moments : {DType::kF32, DType::kBF16})
      for (const int threads : {1, 3})
        on_each_target([&] {
          SCOPED_TRACE(fmt::format("width {}, {}, {} threads", width, dtype_name(moments), threads));
          set_thread_count(threads);
          const Table whole(kRows, width, moments), lazy(kRows, width, moments);
          std::vector<AdamWStep> steps;
          for (int64_t number = 1; number <= kSteps; ++number) {
            // Row r has a gradient in every (r + 1)-th step; rows above kSteps never.
            std::vector<int32_t> chosen;
            for (int32_t r = 0; r < kRows; ++r)
              if (number % (r + 1) == 0) chosen.push_back(r);
            const int64_t count = static_cast<int64_t>(chosen.size());
            const Tensor grad = random_f32({count, width}, uint64_t(number)), index = Tensor::of({count}, chosen);
            const Tensor dense = Tensor::zeros({kRows, width}, DType::kF32);
            for (int64_t i = 0; i < count; ++i)
              dense.rows(chosen[size_t(i)], chosen[size_t(i)] + 1).copy_from(grad.rows(i, i + 1));
            whole.whole(cpu_backend(), number, dense);
            steps.push_back(lazy.step_of(number));
            lazy.rows(steps, index, grad);
          }
          lazy.rows(steps, {}, {});
          EXPECT_TRUE(same_bits(lazy.param, whole.param));
          EXPECT_TRUE(same_bits(lazy.m, whole.m));
          EXPECT_TRUE(same_bits(lazy.v, whole.v));
        });
}

TEST_F(AdamWTargets, Bf16MomentsAgreeWithRef) {
  for (const int64_t width : {1, 13, 100, 5001})
    on_each_target([&] {
      const Table fast(2, width, DType::kBF16), exact(2, width, DType::kBF16);
      for (int64_t number = 1; number <= 3; ++number) {
        const Tensor grad = random_f32({2, width}, 10 + uint64_t(number));
        fast.whole(cpu_backend(), number, grad);
        exact.whole(ref_backend(), number, grad);
        int64_t differ = 0;
        for (int64_t i = 0; i < 2 * width; ++i) {
          ASSERT_NEAR(fast.param.data<float>()[i], exact.param.data<float>()[i], 3e-6) << i;
          for (const auto& [a, b] : {std::pair{fast.m, exact.m}, std::pair{fast.v, exact.v}}) {
            // A last bit of f32 may decide how it is rounded.
            const int distance = std::abs(a.data<uint16_t>()[i] - b.data<uint16_t>()[i]);
            ASSERT_LE(distance, 1) << i << ", step " << number;
            differ += distance;
          }
        }
        EXPECT_LE(differ, width / 50) << "step " << number;
        fast.m.copy_from(exact.m), fast.v.copy_from(exact.v);
      }
    });
}

}  // namespace
}  // namespace cloze::test
