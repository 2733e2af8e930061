// cloze inspect through the program.
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

TEST(Inspect, ATableOrAPage) {
  const HostilePlace place;
  const Outcome table = place.run("$CLOZE inspect --model $M --text 'good x'");
  expect_outcome(place, table, 0, {});
  EXPECT_EQ(std::ranges::count(table.out, '\n'), 3) << "two heads of one layer";
  const Outcome page = place.run("$CLOZE inspect --model $M --text 'good x' --text-pair 'bad y' --html ${D}a.html");
  expect_outcome(place, page, 0, {"1 layers, 2 heads in all: open %a.html in a browser"});
  EXPECT_THAT(read_file(place / "a.html"), HasSubstr("\"[CLS]\""));
}

TEST(Inspect, MistakesAreTold) {
  const HostilePlace place;
  expect_outcome(place, place.run("$CLOZE inspect --model $M --text x --max-length 2"), 2, {"--max-length must be 3 to 32"});
  expect_outcome(place, place.run("$CLOZE inspect --model $M --text $(printf '\\377')"), 2, {"must be UTF-8"});
  expect_outcome(place, place.run("$CLOZE inspect --model $M --text x --html ${D}no/a.html"), 1, {"%no"});
  expect_outcome(place, place.run("$CLOZE inspect --model ${D}no --text x"), 1, {"%no"});
}

}  // namespace
}  // namespace cloze::test
