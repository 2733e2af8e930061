#include "cloze/base/error.h"

#include <set>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

TEST(ErrorTest, CarriesCodeAndMessage) {
  try {
    fail(ErrorCode::kFormat, "{} line {}: expected {}", "a.tsv", 7, "a tab");
    FAIL() << "fail() returned";
  } catch (const std::exception& caught) {
    const Error* error = dynamic_cast<const Error*>(&caught);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->code(), ErrorCode::kFormat);
    EXPECT_STREQ(error->what(), "a.tsv line 7: expected a tab");
  }
}

TEST(ErrorTest, CheckEvaluatesItsArgumentsOnlyOnFailure) {
  int evaluated = 0;
  const auto count = [&] { return ++evaluated; };
  EXPECT_NO_THROW(CLOZE_CHECK(true, ErrorCode::kValue, "{}", count()));
  EXPECT_EQ(evaluated, 0);
  EXPECT_EQ(test::error_of([&] { CLOZE_CHECK(evaluated > 0, ErrorCode::kValue, "found {}", count()); }),
            "value: found 1");
}

TEST(ErrorTest, EveryCodeHasItsWord) {
  std::set<std::string> words;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    words.insert(error_code_name(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(words.size(), static_cast<size_t>(ErrorCode::kInternal) + 1);
  EXPECT_FALSE(words.contains("unknown"));
  EXPECT_STREQ(error_code_name(ErrorCode::kNotFound), "not found");
}

TEST(ErrorTest, ANulDoesNotEndTheMessage) {
  EXPECT_STREQ(Error(ErrorCode::kFormat, std::string("a\0b\0", 4)).what(), "a\\x00b\\x00");
}

}  // namespace
}  // namespace cloze
