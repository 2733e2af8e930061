// AdamW with its moments as bf16: it rounds as it says, it does not stall, and it learns as with f32.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "cloze/backend/round16.h"
#include "cloze/base/thread_team.h"
#include "cloze/optim/adamw.h"

namespace cloze {
namespace {

TEST(Round16, ToTheNearest) {
  EXPECT_EQ(bf16_value(bf16_nearest(1.0f)), 1.0f);
  EXPECT_EQ(bf16_value(bf16_nearest(1.0f + 0x1p-8f)), 1.0f) << "a tie: to the even one";
  EXPECT_EQ(bf16_value(bf16_nearest(1.0f + 0x1.1p-8f)), 1.0f + 0x1p-7f);
  EXPECT_EQ(bf16_value(bf16_nearest(1.0f + 0x3p-8f)), 1.0f + 0x1p-6f) << "a tie: to the even one";
  EXPECT_EQ(bf16_value(bf16_nearest(-3.14159f)), -3.140625f);
  EXPECT_EQ(bf16_nearest(0.0f), 0);
}

TEST(Round16, AtRandomIsRightInTheMean) {
  for (const float value : {1.001f, 0.7f, 3e-9f, 1e-40f, 5.0f}) {
    double sum = 0;
    for (uint32_t random = 0; random < 65536; ++random) sum += double{bf16_value(bf16_random(value, random))};
    EXPECT_NEAR(sum / 65536, double{value}, 1e-9 * double{value});
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(bf16_random(0.0f, 65535), 0);
  EXPECT_EQ(bf16_value(bf16_random(kInfinity, 65535)), kInfinity);
}

Tensor normal(const Shape& shape, uint64_t seed, double sigma = 1) {
  Parameter values = {"values", shape, Init::kNormal, Decay::kNo, {}};
  values.initialize(seed, sigma);
  return values.var.value();
}

/// A parameter of f32 and its optimizer.
struct Trained {
  explicit Trained(int64_t count, MomentType moments = MomentType::kBF16)
      : parameter{"p", {count}, Init::kZeros, Decay::kNo, {}}, optimizer(start(parameter), {.moments = moments}) {}
  static ParameterList start(Parameter& p) {
    p.initialize(1, 1);
    return {&p};
  }
  void step(const Tensor& gradient, double rate) {
    parameter.var.add_grad(gradient);
    optimizer.step(rate, 1);
  }
  Parameter parameter;
  AdamW optimizer;
};

class Bf16MomentsTest : public ::testing::Test {
 protected:
  ~Bf16MomentsTest() override { set_thread_count(0); }
};

TEST_F(Bf16MomentsTest, TakeHalfOfTheMemory) {
  const Trained trained(10);
  EXPECT_EQ(trained.optimizer.first_moment(0).bytes(), 20);
  EXPECT_EQ(trained.optimizer.second_moment(0).dtype(), DType::kBF16);
}

/// From the same moments both round the same way, but where f32's last bits differ just where a value is rounded.
TEST_F(Bf16MomentsTest, BackendsAgree) {
  constexpr int64_t kCount = 10007;
  Trained fast(kCount), exact(kCount);
  for (uint64_t step = 0; step < 5; ++step) {
    const Tensor gradient = normal({kCount}, 10 + step);
    fast.step(gradient, 0.01);
    {
      const BackendScope scope(ref_backend());
      exact.step(gradient, 0.01);
    }
    const auto compare = [&](const Tensor& a, const Tensor& b) {
      int64_t differ = 0;
      for (int64_t i = 0; i < kCount; ++i) {
        ASSERT_LE(std::abs(a.data<uint16_t>()[i] - b.data<uint16_t>()[i]), 1) << i << ", step " << step;
        differ += a.data<uint16_t>()[i] != b.data<uint16_t>()[i];
      }
      EXPECT_LT(differ, kCount / 200) << "step " << step;
      a.copy_from(b);
    };
    compare(fast.optimizer.first_moment(0), exact.optimizer.first_moment(0));
    compare(fast.optimizer.second_moment(0), exact.optimizer.second_moment(0));
    for (int64_t i = 0; i < kCount; ++i)
      ASSERT_NEAR(fast.parameter.var.value().data<float>()[i], exact.parameter.var.value().data<float>()[i], 2e-6) << i;
  }
}

TEST_F(Bf16MomentsTest, SameBitsForAnyThreads) {
  constexpr int64_t kCount = 100003;
  const auto moments = [](int threads) {
    set_thread_count(threads);
    Trained trained(kCount);
    for (uint64_t step = 0; step < 3; ++step) trained.step(normal({kCount}, step), 0.01);
    return trained.optimizer.second_moment(0);
  };
  const Tensor one = moments(1);
  for (const int threads : {2, 3})
    EXPECT_EQ(std::memcmp(moments(threads).raw(), one.raw(), static_cast<size_t>(one.bytes())), 0) << threads;
}

/// Rounded to the nearest, v would stand still as soon as (1 - beta2) g^2 is less than half of its last bit.
TEST_F(Bf16MomentsTest, TheSecondMomentDoesNotStall) {
  constexpr int64_t kCount = 1000;
  Trained trained(kCount);
  double exact = 0;
  for (const auto& [gradient, steps] : {std::pair{1.0, 1500}, std::pair{0.5, 2500}, std::pair{0.6, 2500}}) {
    const Tensor constant = Tensor::full({kCount}, DType::kF32, gradient);
    for (int i = 0; i < steps; ++i) {
      trained.step(constant, 1e-5);
      exact = 0.999 * exact + 0.001 * gradient * gradient;
    }
    double mean = 0, square = 0;
    for (const uint16_t bits : trained.optimizer.second_moment(0).values<uint16_t>()) {
      mean += double{bf16_value(bits)} / kCount;
      square += std::pow(double{bf16_value(bits)} / exact - 1, 2) / kCount;
    }
    EXPECT_NEAR(mean / exact, 1, 0.01) << "after gradients of " << gradient;
    EXPECT_LT(std::sqrt(square), 0.1) << "after gradients of " << gradient;
  }
}

/// Noisy gradients of sum k (x - t)^2 / 2 with k from 0.01 to 100: the loss falls as with f32. After 1500 steps it is
/// what the gradients' noise leaves, 1e-4 of the first.
TEST_F(Bf16MomentsTest, AQuadraticFallsAsWithF32) {
  constexpr int64_t kCount = 512;
  const Tensor target = normal({kCount}, 3, 2);
  const auto loss_after = [&](MomentType moments, int steps) {
    Trained trained(kCount, moments);
    double loss = 0;
    for (int step = 0; step <= steps; ++step) {
      const Tensor gradient = normal({kCount}, 100 + static_cast<uint64_t>(step), 0.3);
      loss = 0;
      for (int64_t i = 0; i < kCount; ++i) {
        const float k = std::pow(10.f, static_cast<float>(i % 5 - 2));
        const float away = trained.parameter.var.value().data<float>()[i] - target.data<float>()[i];
        float& g = gradient.data<float>()[i];
        g = k * (away + g);
        loss += 0.5 * double{k} * double{away} * double{away};
      }
      trained.step(gradient, 0.02 * (1 - static_cast<double>(step) / (steps + 1)));
    }
    return loss;
  };
  const double begin = loss_after(MomentType::kAsParameter, 0);
  for (const int steps : {100, 400, 1500}) {
    const double f32 = loss_after(MomentType::kAsParameter, steps), bf16 = loss_after(MomentType::kBF16, steps);
    EXPECT_NEAR(bf16 / f32, 1, steps < 1000 ? 0.05 : 0.15) << steps << " steps: " << begin << " to " << f32;
  }
  EXPECT_LT(loss_after(MomentType::kBF16, 1500), 1e-3 * begin);
}

}  // namespace
}  // namespace cloze
