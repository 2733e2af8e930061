#include "cloze/tensor/shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cloze {
namespace {

ErrorCode code_of(std::vector<int64_t> dims) {
  try {
    (void)Shape{std::span<const int64_t>(dims)};
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error for " << ::testing::PrintToString(dims);
  return ErrorCode::kInternal;
}

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape({7}).elements(), 7);
  EXPECT_EQ(Shape({2, 3, 4, 5}).elements(), 120);
  EXPECT_EQ(Shape({2, 0, 4}).elements(), 0);
  EXPECT_EQ(Shape({2, 3})[1], 3);
  EXPECT_EQ(Shape({2, 3}).size(), 2u);
}

TEST(Shape, ComparesRankAndSizes) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({2}), Shape({2, 1}));
  EXPECT_NE(Shape(), Shape({1}));
  EXPECT_EQ(Shape({0, 5}), Shape({0, 5}));
  EXPECT_NE(Shape({0, 5}), Shape({0, 6}));
}

TEST(Shape, Prints) {
  EXPECT_EQ(Shape({2, 128}).to_string(), "[2, 128]");
  EXPECT_EQ(fmt::format("{}", Shape()), "[]");
}

TEST(Shape, RefusesImpossibleSizes) {
  EXPECT_EQ(code_of({1, 1, 1, 1, 1}), ErrorCode::kShape);
  EXPECT_EQ(code_of({-1}), ErrorCode::kShape);
  EXPECT_EQ(code_of({0, -1}), ErrorCode::kShape);
  EXPECT_EQ(code_of({0, INT64_MIN}), ErrorCode::kShape);
  EXPECT_EQ(code_of({int64_t{1} << 32, int64_t{1} << 32}), ErrorCode::kShape);
  EXPECT_EQ(code_of({INT64_MAX}), ErrorCode::kShape);
  EXPECT_EQ(code_of({INT64_MIN}), ErrorCode::kShape);
  EXPECT_EQ(code_of({INT64_MAX, INT64_MAX, 0}), ErrorCode::kShape);
}

TEST(Shape, ErrorSaysTheSizes) {
  try {
    (void)Shape({2, -3});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "impossible shape [2, -3]");
  }
}

}  // namespace
}  // namespace cloze
