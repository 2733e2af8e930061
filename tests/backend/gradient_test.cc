// Every backward kernel of ref in f64 against finite differences of its forward kernel.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "cases.h"

namespace cloze::test {
namespace {

constexpr double kStep = 2e-4;
constexpr double kBound = 1e-7;        // of the largest element of the gradient
constexpr double kNegligible = 1e-10;  // for gradients that are 0: inputs and dy are of order 1
constexpr double kBudgetFlops = 2e8;   // for one case
constexpr int64_t kSamples = 40;       // elements tried of each input

/// d sum(dy * forward()) / d x[i] by the central difference of fourth order
/// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, elements of y subtracted before they are summed.
double finite_difference(const Call& call, const Tensor& x, int64_t i) {
  double& value = x.data<double>()[i];
  const double before = value;
  const auto forward_at = [&](double offset) {
    value = before + offset;
    return call.forward();
  };
  const Tensor p1 = forward_at(kStep), m1 = forward_at(-kStep), p2 = forward_at(2 * kStep), m2 = forward_at(-2 * kStep);
  value = before;
  double sum = 0;
  const auto at = [](const Tensor& y, int64_t k) { return y.data<double>()[k]; };
  for (int64_t k = 0; k < p1.elements(); ++k)
    sum += at(call.dy, k) * (8 * (at(p1, k) - at(m1, k)) - (at(p2, k) - at(m2, k)));
  return sum / (12 * kStep);
}

void expect_gradient(const Call& call, const Tensor& x, const Tensor& gradient) {
  ASSERT_EQ(x.shape(), gradient.shape());
  double largest = 0;
  for (const double value : gradient.values<double>()) largest = std::max(largest, std::abs(value));
  const int64_t n = x.elements(), step = std::max<int64_t>(1, n / kSamples) | 1;  // odd: all columns are met
  for (int64_t i = 0; i < n; i += step) {
    const double expected = finite_difference(call, x, i), got = gradient.data<double>()[i];
    EXPECT_NEAR(got, expected, std::max(kBound * largest, kNegligible)) << "element " << i;
  }
}

class Gradient : public testing::TestWithParam<std::string> {};

TEST_P(Gradient, MatchesFiniteDifferences) {
  int checked = 0;
  for (const Case& one : all_cases()) {
    if (one.kernel != GetParam() || one.flops * 8 * kSamples > kBudgetFlops) continue;
    SCOPED_TRACE(one.name);
    const Call call = one.make({DType::kF64, Saved::kExact, Placement::kGuarded});
    if (!call.forward) continue;
    call.run(ref_backend());
    for (size_t i = 0; i < call.gradients.size(); ++i) {
      const auto& [x, gradient] = call.gradients[i];
      if (!x.defined() || !gradient.defined()) continue;
      SCOPED_TRACE(fmt::format("gradient {}", i));
      expect_gradient(call, x, gradient);
      ++checked;
    }
  }
  EXPECT_GE(checked, 6);
}

/// The kernels of the table whose calls know their forward pass.
std::vector<std::string> differentiable_kernels() {
  std::set<std::string> kernels;
  for (const Case& one : all_cases())
    if (one.kernel.ends_with("_backward") || one.kernel == "cross_entropy") kernels.insert(one.kernel);
  return {kernels.begin(), kernels.end()};
}

INSTANTIATE_TEST_SUITE_P(Kernels, Gradient, testing::ValuesIn(differentiable_kernels()),
                         [](const auto& kernel) { return kernel.param; });

TEST(GradientTable, HoldsEveryBackwardKernel) {
  EXPECT_EQ(differentiable_kernels(), (std::vector<std::string>{"add_layer_norm_backward", "attention_backward",
                                                                "cross_entropy", "dropout_backward", "embed_backward",
                                                                "gather_rows_backward", "linear_backward"}));
}

}  // namespace
}  // namespace cloze::test
