// The checkpoint that ships: small enough, whole, and trained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "cloze/base/json.h"
#include "program.h"

namespace cloze::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// The guesses for the only mask of a text.
std::vector<std::string> guesses(const std::string& text) {
  const Workplace place;
  const Outcome outcome = place.cloze("predict --task fill-mask --top-k 8 --model " + kShippedModel + " --input " +
                                      place.write("text.txt", text + "\n").string());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json answer = Json::parse(outcome.out);
  std::vector<std::string> tokens;
  for (const Json& word : answer["masks"][0]["top"]) tokens.push_back(word["token"]);
  return tokens;
}

TEST(Shipped, HasACardAndIsSmall) {
  uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(kShippedModel)) bytes += file.file_size();
  EXPECT_LE(bytes, 24'000'000U);
  EXPECT_THAT(read_file(kShippedModel + "/README.md"), HasSubstr("Held out"));
  const Outcome info = Workplace().cloze("info --model " + kShippedModel);
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("BertForPreTraining"));
}

TEST(Shipped, FillsMasksInBothLanguages) {
  EXPECT_THAT(guesses("This is one of the [MASK] films I have ever seen."), Contains("best"));
  EXPECT_THAT(guesses("The movie was [MASK] and I loved it."), Contains("great"));
  EXPECT_THAT(guesses("他毕业于北京[MASK]学。"), Contains("大"));
}

/// Next sentences of the sample texts against sentences from elsewhere.
TEST(Shipped, TellsNextSentencesFromOthers) {
  const Workplace place;
  const std::string pairs =
      "text_a\ttext_b\tlabel\n"
      "The band released their first album in 1995.\tTheir second album came out two years later and sold "
      "well.\tis_next\n"
      "The village lies on the river, near the northern border.\tIt had a population of 312 in 2011.\tis_next\n"
      "The band released their first album in 1995.\tThe river flows through the northern part of the "
      "district.\tnot_next\n"
      "The village lies on the river, near the northern border.\tHe scored twice in the second half of the "
      "match.\tnot_next\n"
      "他出生于上海，毕业于北京大学。\t他后来在美国任教，是著名的物理学家。\tis_next\n"
      "他出生于上海，毕业于北京大学。\t该车站有两个站台，位于地下一层。\tnot_next\n";
  const Outcome outcome = place.cloze("evaluate --task next-sentence-prediction --model " + kShippedModel + " --data " +
                                      place.write("pairs.tsv", pairs).string());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_GE(Json::parse(outcome.out)["accuracy"].get<double>(), 0.65) << outcome.out;
}

}  // namespace
}  // namespace cloze::test
