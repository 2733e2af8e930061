// What the case table does not say of cross_entropy and softmax: logits that are no finite numbers, and threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cases.h"
#include "cloze/base/thread_team.h"
#include "compare.h"
#include "simd_target.h"

namespace cloze::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor logits_of(int64_t R, int64_t C) {
  Rng rng(5, RandomStream::kTest);
  const Tensor logits({R, C}, DType::kF32);
  for (float& value : logits.values<float>()) value = static_cast<float>(3 * rng.normal());
  return logits;
}
Tensor targets_of(int64_t R, int64_t C) {
  const Tensor targets({R}, DType::kI32);
  for (int64_t r = 0; r < R; ++r) targets.data<int32_t>()[r] = static_cast<int32_t>(r % 5 == 3 ? -1 : r * 7 % C);
  return targets;
}

struct Result {
  Tensor loss = Tensor({1}, DType::kF32), dlogits, y;
  float value() const { return *loss.data<float>(); }
};
Result run(const Backend& backend, const Tensor& logits, const Tensor& targets, double smoothing = 0) {
  Result result;
  result.dlogits = Tensor(logits.shape(), DType::kF32);
  result.y = Tensor(logits.shape(), DType::kF32);
  backend.cross_entropy({.logits = logits,
                         .targets = targets,
                         .class_weight = {},
                         .row_weight = {},
                         .label_smoothing = smoothing,
                         .loss = result.loss,
                         .dlogits = result.dlogits});
  backend.softmax({.x = logits, .y = result.y});
  return result;
}

/// A run that has gone wrong must be seen in its loss, wherever in a row the first NaN stands.
TEST(CrossEntropyTest, NanAndInfinityReachTheLoss) {
  for (const int64_t target : simd_targets()) {
    const SimdTarget chosen(target);
    SCOPED_TRACE(simd_target_name(target));
    for (const float bad : {std::nanf(""), kInfinity})
      for (const int64_t C : {1, 2, 5, 37}) {
        for (int64_t at = 0; at < C; ++at) {
          SCOPED_TRACE(fmt::format("{} at {} of {}", bad, at, C));
          const Tensor logits = logits_of(3, C);
          logits.data<float>()[C + at] = bad;
          const Result got = run(cpu_backend(), logits, targets_of(3, C));
          EXPECT_FALSE(std::isfinite(got.value()));
          EXPECT_TRUE(std::isnan(got.dlogits.data<float>()[C + at]));
          EXPECT_TRUE(std::isnan(got.y.data<float>()[C + at]));
          EXPECT_TRUE(std::isfinite(got.y.data<float>()[0])) << "the row before";
        }
      }
  }
}

/// A class that is ruled out has a probability of 0.
TEST(CrossEntropyTest, MinusInfinityIsNoProbability) {
  const Tensor logits = logits_of(4, 37), targets = targets_of(4, 37);
  for (int64_t r = 0; r < 4; ++r) logits.data<float>()[r * 37 + 36 - r] = -kInfinity;
  const Result got = run(cpu_backend(), logits, targets), expected = run(ref_backend(), logits, targets);
  EXPECT_NEAR(got.value(), expected.value(), 1e-6);
  for (int64_t r = 0; r < 4; ++r) EXPECT_EQ(got.y.data<float>()[r * 37 + 36 - r], 0);
  const Tensor one = Tensor::full({4, 37}, DType::kF32, 1);
  EXPECT_EQ(difference(got.y, expected.y, one, 4), "");
  EXPECT_EQ(difference(got.dlogits, expected.dlogits, one, 4), "");
}

TEST(CrossEntropyTest, ThreadsChangeNoBit) {
  for (const int64_t C : {2, 37, 9001}) {
    const Tensor logits = logits_of(40, C), targets = targets_of(40, C);
    for (const double smoothing : {0.0, 0.1}) {
      set_thread_count(1);
      const Result expected = run(cpu_backend(), logits, targets, smoothing);
      for (int threads = 2; threads <= 4; ++threads) {
        SCOPED_TRACE(fmt::format("{} classes, {} threads", C, threads));
        set_thread_count(threads);
        const Result got = run(cpu_backend(), logits, targets, smoothing);
        EXPECT_TRUE(same_bits(got.loss, expected.loss));
        EXPECT_TRUE(same_bits(got.dlogits, expected.dlogits));
        EXPECT_TRUE(same_bits(got.y, expected.y));
      }
    }
  }
  set_thread_count(0);
}

}  // namespace
}  // namespace cloze::test
