// "Did you mean …?"
#include "cloze/base/suggest.h"

#include "temporary.h"

namespace cloze::test {
namespace {

TEST(NearestNameTest, AllowsSlipsOnly) {
  const std::vector<std::string> names = {"label", "Sentence", "id"};
  EXPECT_EQ(nearest_name("sentense", names), "Sentence");
  EXPECT_EQ(nearest_name("lable", names), "label") << "two letters swapped are one slip";
  EXPECT_EQ(nearest_name("lbale", names), "");
  EXPECT_EQ(nearest_name("labl", names), "label");
  EXPECT_EQ(nearest_name("ids", names), "id");
  EXPECT_EQ(nearest_name("text", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(did_you_mean("Lable", names), ", did you mean label?");
  EXPECT_EQ(did_you_mean("text", names), "");
}

TEST(MissingPathHintTest, NamesANeighbourOrTheMissingFolder) {
  const TemporaryFolder folder;
  folder.write("reviews.tsv", "");
  folder.write("notes.txt", "");
  const std::string dir = folder.path().string();
  EXPECT_EQ(missing_path_hint(folder.path() / "reviews.tvs"), ", did you mean " + dir + "/reviews.tsv?");
  EXPECT_EQ(missing_path_hint(folder.path() / "Reviews.tsv"), ", did you mean " + dir + "/reviews.tsv?");
  EXPECT_EQ(missing_path_hint(folder.path() / "reviews.tv/"), ", did you mean " + dir + "/reviews.tsv?");
  EXPECT_EQ(missing_path_hint(folder.path() / "other.csv"), "");
  EXPECT_EQ(missing_path_hint(folder.path() / "nofolder" / "reviews.tsv"),
            ": the folder " + dir + "/nofolder is not there");
  EXPECT_EQ(missing_path_hint(folder.path() / "notes.txt" / "x"), ": the folder " + dir + "/notes.txt is a file");
  const std::string near = folder.path().filename().string();
  EXPECT_EQ(missing_path_hint(folder.path().parent_path() / (near + "x") / "a"),
            ": the folder " + dir + "x is not there, did you mean " + dir + "?");
  EXPECT_EQ(missing_path_hint(""), "");
}

}  // namespace
}  // namespace cloze::test
