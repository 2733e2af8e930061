// Every row of the case table: cpu_backend() against ref in f64 and in f32, element by element.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cases.h"
#include "compare.h"
#include "simd_target.h"

namespace cloze::test {
namespace {

constexpr Setting kF32{DType::kF32, Saved::kRounded, Placement::kGuarded};
constexpr Setting kF64{DType::kF64, Saved::kRounded, Placement::kGuarded};
void expect_near(const Tensor& got, const Tensor& expected, const Tensor& magnitude, double ulps) {
  const std::string wrong = difference(got, expected, magnitude, ulps);
  EXPECT_TRUE(wrong.empty()) << wrong;
}

/// Runs the call; checks that inputs and the memory around every tensor stay as they were.
void run_guarded(const Call& call, const Backend& backend) {
  std::vector<Tensor> inputs, guards;
  for (const Tensor& input : call.inputs) inputs.push_back(input.clone());
  for (const Guard& guard : call.guards) guards.push_back(guard.memory.clone());
  call.run(backend);
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(same_bits(inputs[i], call.inputs[i])) << "input " << i << " was written";
  for (size_t i = 0; i < guards.size(); ++i) {
    const Guard& guard = call.guards[i];
    const int64_t end = guard.begin + guard.count, all = guard.memory.shape()[0];
    EXPECT_TRUE(same_bits(guards[i].rows(0, guard.begin), guard.memory.rows(0, guard.begin)) &&
                same_bits(guards[i].rows(end, all), guard.memory.rows(end, all)))
        << "memory around tensor " << i << " of the call was written";
  }
}

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  /// Calls check(case) for the kernel's rows.
  template <class Check>
  void for_cases(Check check) {
    int rows = 0;
    for (const Case& one : all_cases()) {
      if (one.kernel != GetParam()) continue;
      ++rows;
      SCOPED_TRACE(one.kernel + " " + one.name);
      check(one);
    }
    EXPECT_GE(rows, 8);
  }
};

/// The naive sums of ref in f32 may err more than the bound that a fast kernel with several partial sums keeps.
constexpr double kNaive = 4;

TEST_P(Conformance, CpuAgreesWithRef) {
  for_cases([](const Case& one) {
    const Call exact = one.make(kF64), naive = one.make(kF32), fast = one.make(kF32);
    run_guarded(exact, ref_backend());
    run_guarded(naive, ref_backend());
    run_guarded(fast, cpu_backend());
    const std::vector<Tensor> magnitudes = exact.magnitudes();
    ASSERT_EQ(magnitudes.size(), exact.outputs.size());
    for (size_t i = 0; i < magnitudes.size(); ++i) {
      SCOPED_TRACE(exact.outputs[i].name);
      const Tensor &f64 = exact.outputs[i].value, &f32 = naive.outputs[i].value, &cpu = fast.outputs[i].value;
      {
        SCOPED_TRACE("cpu f32 against ref f64");
        expect_near(cpu, f64, magnitudes[i], one.ulps);
      }
      {
        SCOPED_TRACE("ref f32 against ref f64");
        expect_near(f32, f64, magnitudes[i], kNaive * one.ulps);
      }
      {
        SCOPED_TRACE("cpu f32 against ref f32");
        expect_near(cpu, f32, magnitudes[i], (kNaive + 1) * one.ulps);
      }
    }
  });
}

TEST_P(Conformance, CpuHandsF64ToRef) {
  for_cases([](const Case& one) {
    if (one.flops > 1e6) return;
    const Call expected = one.make(kF64), got = one.make(kF64);
    run_guarded(expected, ref_backend());
    run_guarded(got, cpu_backend());
    for (size_t i = 0; i < expected.outputs.size(); ++i)
      EXPECT_TRUE(same_bits(expected.outputs[i].value, got.outputs[i].value)) << expected.outputs[i].name;
  });
}

TEST_P(Conformance, EverySimdTargetAgreesWithRef) {
  for (const int64_t target : simd_targets()) {
    const SimdTarget chosen(target);
    SCOPED_TRACE("target " + simd_target_name(target));
    for_cases([](const Case& one) {
      if (one.flops > 1e6) return;
      const Call exact = one.make(kF64), fast = one.make(kF32);
      run_guarded(exact, ref_backend());
      run_guarded(fast, cpu_backend());
      const std::vector<Tensor> magnitudes = exact.magnitudes();
      // Narrow vectors have longer chains of sums, and without fused multiply-add each term is rounded twice.
      for (size_t i = 0; i < magnitudes.size(); ++i)
        expect_near(fast.outputs[i].value, exact.outputs[i].value, magnitudes[i], 3 * one.ulps);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Conformance, testing::ValuesIn(all_kernels()),
                         [](const auto& kernel) { return kernel.param; });

}  // namespace
}  // namespace cloze::test
