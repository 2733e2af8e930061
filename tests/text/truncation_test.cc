#include "cloze/text/truncation.h"

#include <gtest/gtest.h>

#include "cloze/base/error.h"

namespace cloze {
namespace {

struct PeerRow {
  int64_t first, second, room;
  int64_t kept_first, kept_second;
};

// The table of the peer's own test, for a room of 7, and the odd cases around it.
TEST(Truncation, LongestFirstFollowsThePeer) {
  const PeerRow rows[] = {{0, 0, 7, 0, 0}, {0, 8, 7, 0, 7}, {2, 4, 7, 2, 4}, {2, 8, 7, 2, 5}, {4, 4, 7, 3, 4},
                          {4, 8, 7, 3, 4}, {8, 0, 7, 7, 0}, {8, 2, 7, 5, 2}, {8, 4, 7, 4, 3}, {8, 8, 7, 3, 4},
                          {8, 8, 0, 0, 0}, {9, 8, 1, 1, 0}, {8, 9, 1, 0, 1}, {3, 5, 7, 3, 4}};
  for (const PeerRow& row : rows) {
    const TruncationPlan plan =
        plan_truncation(row.first, row.second, 3, {TruncationStrategy::kLongestFirst, row.room + 3});
    EXPECT_EQ(plan.first, row.kept_first) << row.first << " " << row.second;
    EXPECT_EQ(plan.second, row.kept_second) << row.first << " " << row.second;
    EXPECT_EQ(plan.dropped, row.first + row.second - row.kept_first - row.kept_second);
  }
}

TEST(Truncation, SingleTextsKeepWhatFits) {
  EXPECT_EQ(plan_truncation(10, std::nullopt, 2, {TruncationStrategy::kLongestFirst, 8}).first, 6);
  EXPECT_EQ(plan_truncation(10, std::nullopt, 2, {TruncationStrategy::kOnlyFirst, 8}).dropped, 4);
  EXPECT_EQ(plan_truncation(6, std::nullopt, 2, {TruncationStrategy::kLongestFirst, 8}).dropped, 0);
}

TEST(Truncation, NoneNeverCuts) {
  EXPECT_EQ(plan_truncation(1000, 1000, 3, {TruncationStrategy::kNone, 8}).dropped, 0);
}

TEST(Truncation, OneSidedCutsOnlyThatSide) {
  const TruncationPlan second = plan_truncation(3, 9, 3, {TruncationStrategy::kOnlySecond, 10});
  EXPECT_EQ(second.first, 3);
  EXPECT_EQ(second.second, 4);
  EXPECT_EQ(plan_truncation(9, 3, 3, {TruncationStrategy::kOnlyFirst, 10}).first, 4);
}

TEST(Truncation, ImpossibleRequestsAreErrors) {
  EXPECT_THROW(plan_truncation(1, std::nullopt, 2, {TruncationStrategy::kLongestFirst, 1}), Error);
  EXPECT_THROW(plan_truncation(9, 3, 3, {TruncationStrategy::kOnlySecond, 10}), Error);
  EXPECT_THROW(plan_truncation(9, std::nullopt, 2, {TruncationStrategy::kOnlySecond, 8}), Error);
}

}  // namespace
}  // namespace cloze
