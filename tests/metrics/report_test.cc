#include "cloze/metrics/report.h"

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Labels = std::vector<std::string>;

TEST(ReportTest, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("label"), 5);
  EXPECT_EQ(display_width("正面"), 4);
  EXPECT_EQ(display_width("ｆｕｌｌ"), 8);
  EXPECT_EQ(display_width("カ한，"), 6);
  EXPECT_EQ(display_width("é"), 1);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("Привет"), 6);
  EXPECT_EQ(display_width("😀"), 2);
  EXPECT_EQ(display_width("𠀀"), 2);
}

TEST(ReportTest, FitWidth) {
  EXPECT_EQ(fit_width("label", 5), "label");
  EXPECT_EQ(fit_width("labels", 5), "labe…");
  EXPECT_EQ(fit_width("正面评价", 8), "正面评价");
  EXPECT_EQ(fit_width("正面评价", 7), "正面评…");
  EXPECT_EQ(fit_width("正面评价", 6), "正面…");  // half a character does not fit
  EXPECT_EQ(fit_width("a\nb\x1B[31m", 9), "a b [31m");
}

TEST(ReportTest, ClassTable) {
  const ConfusionMatrix matrix(std::vector<int>{0, 0, 1, 1}, std::vector<int>{0, 1, 1, 1}, 3);
  EXPECT_EQ(class_table(matrix, Labels{"负", "正面", "long label"}),
            "label             precision  recall      f1  support\n"
            "负                   0.5000  1.0000  0.6667        1\n"
            "正面                 1.0000  0.6667  0.8000        3\n"
            "long label           0.0000  0.0000  0.0000        0\n"
            "\n"
            "accuracy                             0.7500        4\n"
            "macro average        0.7500  0.8333  0.7333        4\n"
            "weighted average     0.8750  0.7500  0.7667        4\n");
  EXPECT_THAT(class_table(ConfusionMatrix(1), Labels{"a"}),
              HasSubstr("accuracy                                  -        0\n"));
}

TEST(ReportTest, ConfusionMatrixNamesColumns) {
  const ConfusionMatrix matrix(std::vector<int>{0, 0, 1, 1}, std::vector<int>{0, 1, 1, 1}, 2);
  EXPECT_EQ(confusion_text(matrix, Labels{"负", "正面"}),
            "truth \\ predicted  负  正面\n"
            "负                  1     0\n"
            "正面                1     2\n");
  EXPECT_EQ(confusion_text(matrix, Labels{"not_entailment", "no"}),
            "truth \\ predicted   (1)  (2)\n"
            "(1) not_entailment    1    0\n"
            "(2) no                1    2\n");
}

TEST(ReportTest, ManyClassesAreSummarised) {
  ConfusionMatrix matrix(21);
  Labels labels;
  for (int c = 0; c < 21; ++c) labels.push_back(fmt::format("label {}", c));
  for (int i = 0; i < 6; ++i) matrix.add(3, 3);
  for (int i = 0; i < 2; ++i) matrix.add(5, 3);
  matrix.add(3, 20);
  matrix.add(4, 20);
  EXPECT_EQ(confusion_text(matrix, labels, 2),
            "most confused of 21 classes (4 mistakes in 10 rows)\n"
            "truth     predicted  rows  of truth\n"
            "label 3     label 5     2     25.0%\n"
            "label 20    label 3     1     50.0%\n"
            "not listed: 1\n");
  EXPECT_EQ(confusion_text(ConfusionMatrix(21), labels), "most confused of 21 classes (0 mistakes in 0 rows)\n");
  ConfusionMatrix twenty(20);
  labels.pop_back();
  EXPECT_THAT(confusion_text(twenty, labels), StartsWith("truth \\ predicted  label 0  label 1  "));
}

TEST(ReportTest, LabelsMustFit) {
  EXPECT_EQ(test::error_of([] { class_table(ConfusionMatrix(2), Labels{"a"}); }),
            "value: expected 2 labels, one a class, found 1");
  EXPECT_EQ(test::error_of([] {
              confusion_text(ConfusionMatrix(1), Labels{"a", "b"});
            }),
            "value: expected 1 labels, one a class, found 2");
}

}  // namespace
}  // namespace cloze
