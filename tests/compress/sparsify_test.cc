#include "cloze/compress/sparsify.h"

#include <gtest/gtest.h>

#include <cmath>

#include "random_model.h"

namespace cloze {
namespace {

TEST(Sparsify, TheSmallestOfEachProductGo) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  write_sparse(dir.path() / "a", dir.path() / "s", 0.75);
  EXPECT_NEAR(sparsity_of(dir.path() / "a"), 0, 1e-9);
  EXPECT_NEAR(sparsity_of(dir.path() / "s"), 0.75, 0.01);
  Weights before{dir.path() / "a"}, after{dir.path() / "s"};
  for (const std::string& name : before.names()) {
    const Shape shape = *before.shape_of(name);
    const Tensor a = before.get(name, shape), b = after.get(name, shape);
    const bool product = name.find("encoder.layer") != std::string::npos && shape.rank() == 2;
    float largest_gone = 0, smallest_left = 1e9f;
    for (int64_t i = 0; i < a.elements(); ++i) {
      const float x = a.data<float>()[i], y = b.data<float>()[i];
      if (y == x)
        smallest_left = std::min(smallest_left, std::abs(x));
      else
        largest_gone = std::max(largest_gone, std::abs(x));
      ASSERT_TRUE(y == x || (product && y == 0)) << name;
    }
    EXPECT_TRUE(!product || largest_gone <= smallest_left) << name;
  }
}

TEST(Sparsify, TheScheduleBeginsFast) {
  EXPECT_DOUBLE_EQ(sparsity_at(0.9, 4, 4), 0.9);
  EXPECT_DOUBLE_EQ(sparsity_at(0.8, 1, 2), 0.7);
  EXPECT_DOUBLE_EQ(sparsity_at(0.9, 1, 1), 0.9);
}

}  // namespace
}  // namespace cloze
