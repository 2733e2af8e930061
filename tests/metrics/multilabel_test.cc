#include "cloze/metrics/multilabel.h"

#include <cmath>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using Flags = std::vector<uint8_t>;

TEST(MultilabelTest, Literals) {
  // By hand: hits 2, 1, 1, 0 of predicted 3, 2, 1, 0 and true 2, 2, 2, 0.
  const Flags predicted = {1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
  const Flags truth = {1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
  const MultilabelScores scores = multilabel_scores(predicted, truth, 4);
  EXPECT_DOUBLE_EQ(scores.micro_f1, 2. / 3);
  EXPECT_DOUBLE_EQ(scores.macro_f1, 59. / 120);  // the label that never occurs counts as 0
  EXPECT_DOUBLE_EQ(scores.exact_match, 0.4);     // the row without labels is right
  EXPECT_DOUBLE_EQ(scores.hamming_loss, 0.2);
}

TEST(MultilabelTest, PerfectAndEmpty) {
  const Flags flags = {1, 0, 0, 1};
  const MultilabelScores perfect = multilabel_scores(flags, flags, 2);
  EXPECT_EQ(perfect.micro_f1, 1);
  EXPECT_EQ(perfect.macro_f1, 1);
  EXPECT_EQ(perfect.exact_match, 1);
  EXPECT_EQ(perfect.hamming_loss, 0);
  const Flags none(4);
  EXPECT_EQ(multilabel_scores(none, none, 2).micro_f1, 0);
  const MultilabelScores nothing = multilabel_scores({}, {}, 2);
  EXPECT_TRUE(std::isnan(nothing.micro_f1) && std::isnan(nothing.macro_f1) && std::isnan(nothing.exact_match) &&
              std::isnan(nothing.hamming_loss));
}

TEST(MultilabelTest, Errors) {
  EXPECT_EQ(error_of([] {
              multilabel_scores(Flags{1, 0, 1}, Flags{1, 0, 1}, 2);
            }),
            "value: expected the same number of rows of 2 label flags, found 3 and 3 flags");
  EXPECT_EQ(error_of([] {
              multilabel_scores(Flags{1, 0}, Flags{1, 0, 1, 1}, 2);
            }),
            "value: expected the same number of rows of 2 label flags, found 2 and 4 flags");
  EXPECT_EQ(error_of([] {
              multilabel_scores(Flags{1, 2}, Flags{1, 0}, 2);
            }),
            "value: expected label flags of 0 or 1, found 2");
}

}  // namespace
}  // namespace cloze
