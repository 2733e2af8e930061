#include "cloze/base/json.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "cloze/base/rng.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string parse_error(std::string_view text, int max_depth = 64) {
  return error_of([&] { parse_json(text, "a.json", max_depth); });
}

TEST(ParseJsonTest, KeepsOrder) {
  EXPECT_EQ(parse_json("{\"z\": 1, \"a\": [true, null, \"x\"]}", "a.json").dump(), "{\"z\":1,\"a\":[true,null,\"x\"]}");
  EXPECT_EQ(parse_json("\xEF\xBB\xBF[]", "a.json").dump(), "[]");
}

TEST(ParseJsonTest, DepthIsBounded) {
  EXPECT_EQ(parse_error("[[1]]", 2), "no error");
  EXPECT_EQ(parse_error("[[[]]]", 2), "format: a.json: JSON nested deeper than 2 levels");
  EXPECT_EQ(parse_error("[{\"a\": [1]}]", 2), "format: a.json: JSON nested deeper than 2 levels");
  EXPECT_EQ(parse_error("[\"[[[\\\"[[\", \"]]\", [1], [2]]", 2), "no error");  // brackets in strings, siblings
  EXPECT_EQ(parse_error(std::string(10000000, '[')), "format: a.json: JSON nested deeper than 64 levels");
}

TEST(ParseJsonTest, Refuses) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "[1] 2", "nul", "NaN", "'a'", "\"\xFF\"", "\"\\ud800\"",
                           "1e999", "\"a\nb\"", "[1] // no comments"}) {
    EXPECT_THAT(parse_error(text), StartsWith("format: a.json: not valid JSON: ")) << text;
  }
}

TEST(JsonMembersTest, TypedMembers) {
  const Json object =
      parse_json("{\"i\": -3, \"f\": 0.5, \"s\": \"x\", \"b\": true, \"n\": null, \"big\": 18446744073709551615}", "a");
  EXPECT_EQ(json_int(object, "i", "a"), -3);
  EXPECT_EQ(json_number(object, "f", "a"), 0.5);
  EXPECT_EQ(json_number(object, "i", "a"), -3);
  EXPECT_EQ(json_string(object, "s", "a"), "x");
  EXPECT_EQ(json_int_or(object, "none", 7, "a"), 7);
  EXPECT_EQ(json_int_or(object, "n", 7, "a"), 7);
  EXPECT_EQ(json_number_or(object, "none", 1.5, "a"), 1.5);
  EXPECT_EQ(json_string_or(object, "n", "y", "a"), "y");
  EXPECT_EQ(json_string_or(object, "s", "y", "a"), "x");
  EXPECT_TRUE(json_bool_or(object, "b", false, "a"));
  EXPECT_TRUE(json_bool_or(object, "none", true, "a"));
}

TEST(JsonMembersTest, ErrorsNameKeyAndType) {
  const Json object = parse_json("{\"f\": 0.5, \"s\": \"x\", \"n\": null, \"big\": 18446744073709551615}", "a");
  EXPECT_EQ(error_of([&] { json_int(object, "none", "config.json"); }),
            "format: config.json: \"none\" is missing; expected an integer");
  EXPECT_EQ(error_of([&] { json_int(object, "f", "config.json"); }),
            "format: config.json: \"f\" must be an integer, found number 0.5");
  EXPECT_THAT(error_of([&] { json_int(object, "big", "a"); }), HasSubstr("\"big\" must be an integer"));
  EXPECT_THAT(error_of([&] { json_string(object, "n", "a"); }), HasSubstr("\"n\" is missing; expected a string"));
  EXPECT_THAT(error_of([&] { json_number_or(object, "s", 1, "a"); }),
              HasSubstr("\"s\" must be a number, found string"));
  EXPECT_THAT(error_of([&] { json_bool_or(object, "f", true, "a"); }), HasSubstr("\"f\" must be true or false"));
  EXPECT_THAT(error_of([&] { json_int(Json::array(), "x", "a"); }),
              HasSubstr("expected an object that may hold \"x\", found array"));
}

TEST(JsonLineTest, Structure) {
  JsonLine line;
  line.begin_object().member("a", 1).key("b").begin_array().value(1.5f).value("x").value(false).end_array();
  line.key("c").begin_object().end_object().key("d").begin_array().end_array().member("e", std::string("y"));
  line.key("f").begin_array().begin_array().value(int64_t{1} << 60).end_array().begin_array().end_array().end_array();
  line.end_object();
  EXPECT_EQ(
      line.text(),
      "{\"a\": 1, \"b\": [1.5, \"x\", false], \"c\": {}, \"d\": [], \"e\": \"y\", \"f\": [[1152921504606846976], []]}");
  EXPECT_EQ(parse_json(line.text(), "line").at("f")[0][0], int64_t{1} << 60);
}

TEST(JsonLineTest, EscapesReadBack) {
  std::string text = "quote\" slash\\ /é中😀\x7F";
  for (char c = 0; c < 0x20; ++c) text += c;
  JsonLine line;
  line.value(text);
  EXPECT_EQ(parse_json(line.text(), "line").get<std::string>(), text);
  EXPECT_THAT(line.text(), HasSubstr("quote\\\" slash\\\\ /é中😀\\u007f\\u0000\\u0001"));
  EXPECT_THAT(line.text(), HasSubstr("\\t\\n\\u000b\\u000c\\r"));
  JsonLine broken;
  broken.value(
      "a\xFF"
      "b\xE4\xB8");
  EXPECT_EQ(broken.text(), "\"a\uFFFDb\uFFFD\"");
}

std::string float_text(float number) {
  JsonLine line;
  return line.value(number).text();
}

TEST(JsonLineTest, FloatsAreShortest) {
  EXPECT_EQ(float_text(0.1f), "0.1");
  EXPECT_EQ(float_text(1.0f / 3), "0.33333334");
  EXPECT_EQ(float_text(-2.0f), "-2");
  EXPECT_EQ(float_text(16777216.0f), "16777216");
  EXPECT_EQ(float_text(1e-45f), "1e-45");
  EXPECT_EQ(float_text(3.4028235e38f), "3.4028235e+38");
  EXPECT_EQ(float_text(std::numeric_limits<float>::quiet_NaN()), "null");
  EXPECT_EQ(float_text(-std::numeric_limits<float>::infinity()), "null");
  JsonLine doubles;
  doubles.begin_array().value(0.1).value(1.0 / 3).value(std::nan("")).end_array();
  EXPECT_EQ(doubles.text(), "[0.1, 0.3333333333333333, null]");
}

TEST(JsonLineTest, FloatsReadBackToTheSameBits) {
  Rng rng(1, RandomStream::kTest);
  for (int i = 0; i < 200000; ++i) {
    const uint32_t bits = rng.next_u32();
    float number, back;
    std::memcpy(&number, &bits, 4);
    if (!std::isfinite(number)) continue;
    const std::string text = float_text(number);
    back = std::strtof(text.c_str(), nullptr);
    ASSERT_EQ(std::memcmp(&number, &back, 4), 0) << text;
    if (i < 2000) {
      // JSON proper, and a reader that goes by way of double gets the same float.
      const float by_double = static_cast<float>(parse_json(text, "float").get<double>());
      ASSERT_EQ(std::memcmp(&number, &by_double, 4), 0) << text;
    }
  }
}

TEST(DumpJsonTest, IsIndentedAndEndsItsLine) {
  Json value;
  value["b"] = 1;
  value["a"] = Json::array({"x\xFF"});
  EXPECT_EQ(dump_json(value), "{\n  \"b\": 1,\n  \"a\": [\n    \"x\uFFFD\"\n  ]\n}\n");
}

}  // namespace
}  // namespace cloze
