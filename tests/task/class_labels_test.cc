#include "cloze/task/class_labels.h"

#include <gmock/gmock.h>

#include "cloze/base/error.h"

namespace cloze {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<TextExample> rows_of(const std::vector<std::string>& labels) {
  std::vector<TextExample> rows;
  for (const std::string& label : labels) {
    rows.emplace_back();
    rows.back().label = label;
    rows.back().line = static_cast<int64_t>(rows.size()) + 1;
  }
  return rows;
}

template <class Work>
std::string refusal(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CollectLabels, NumbersInTheirOrderNamesByBytes) {
  EXPECT_THAT(collect_labels(rows_of({"10", "9", "-1", "9"}), "f"), ElementsAre("-1", "9", "10"));
  EXPECT_THAT(collect_labels(rows_of({"10", "9", "x"}), "f"), ElementsAre("10", "9", "x"));
  EXPECT_THAT(collect_labels(rows_of({"好", "坏", "a\"b"}), "f"), ElementsAre("a\"b", "坏", "好"));
}

TEST(CollectLabels, OneClassIsNoClassification) {
  EXPECT_EQ(refusal([] {
              collect_labels(rows_of({"a", "a"}), "f.tsv");
            }),
            "f.tsv: all 2 rows have the label \"a\"; a classifier needs at least two labels");
}

TEST(LabelIds, AreMatchedByNameInWhateverOrder) {
  EXPECT_THAT(label_ids(rows_of({"b", "a", "b"}), {"a", "b", "c"}, "f"), ElementsAre(1, 0, 1));
}

TEST(LabelIds, AMismatchListsBothSides) {
  EXPECT_EQ(refusal([] {
              label_ids(rows_of({"neg", "Pos", "neutral"}), {"neg", "pos"}, "dev.tsv");
            }),
            "dev.tsv line 3: the label \"Pos\" is not one of the model's; labels are matched by name\n"
            "  labels of the data:  Pos, neg, neutral\n"
            "  labels of the model: neg, pos\n"
            "  in the data only:    Pos, neutral");
}

TEST(ClassWeights, BalancedIsRowsByClassesTimesCount) {
  const int ids[] = {0, 0, 0, 1};
  EXPECT_THAT(class_weights("balanced", {"a", "b", "c"}, ids),
              ElementsAre(FloatEq(4.f / 9), FloatEq(4.f / 3), FloatEq(1)));
  EXPECT_THAT(class_weights("", {"a", "b"}, ids), IsEmpty());
  EXPECT_THAT(class_weights("none", {"a", "b"}, ids), IsEmpty());
}

TEST(ClassWeights, ByName) {
  EXPECT_THAT(class_weights("b=2.5", {"a", "b", "c"}, {}), ElementsAre(1, 2.5, 1));
  EXPECT_THAT(class_weights("a=0,x=y=3", {"a", "x=y"}, {}), ElementsAre(0, 3));
  EXPECT_THAT(class_weights(R"({"a,b": 3})", {"a,b", "c"}, {}), ElementsAre(3, 1));
}

TEST(ClassWeights, RefusesWhatCannotBe) {
  const auto of = [](const char* choice) { return refusal([&] { class_weights(choice, {"good", "bad"}, {}); }); };
  EXPECT_EQ(of("goood=2"), "--class-weights: there is no label \"goood\", did you mean good?; there are good, bad");
  EXPECT_THAT(of("balance"), HasSubstr("must be none, balanced, NAME=WEIGHT"));
  EXPECT_THAT(of("good=-1"), HasSubstr("the weight of \"good\" must be a number of at least 0"));
  EXPECT_THAT(of("good=nan"), HasSubstr("must be"));
  EXPECT_THAT(of("good=0,bad=0"), HasSubstr("all weights are 0"));
  EXPECT_THAT(of("{\"good\": \"x\"}"), HasSubstr("must be a number"));
  EXPECT_THAT(of("{\"good\""), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace cloze
