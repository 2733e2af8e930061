#include "cloze/base/utf8.h"

#include <vector>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

std::string repaired(std::string_view text) {
  int64_t replaced = 0;
  return replace_invalid_utf8(text, replaced);
}

/// The specification, table 3-7 of the Unicode standard written out: byte ranges of the well-formed sequences.
struct Form {
  int length;
  unsigned char low[4], high[4];
};
constexpr Form kForms[] = {{1, {0x00}, {0x7F}},
                           {2, {0xC2, 0x80}, {0xDF, 0xBF}},
                           {3, {0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}},
                           {3, {0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}},
                           {3, {0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}},
                           {3, {0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}},
                           {4, {0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}},
                           {4, {0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}},
                           {4, {0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}}};

/// One step by the specification: the longest prefix of a form; valid if it is a whole form, else at least one byte.
Utf8Step specified(std::string_view text) {
  int longest = 0;
  for (const Form& form : kForms) {
    int matched = 0;
    while (matched < form.length && matched < static_cast<int>(text.size()) &&
           static_cast<unsigned char>(text[matched]) >= form.low[matched] &&
           static_cast<unsigned char>(text[matched]) <= form.high[matched]) {
      ++matched;
    }
    if (matched == form.length) {
      char32_t c = static_cast<unsigned char>(text[0]) & (form.length == 1 ? 0x7F : 0xFF >> (form.length + 1));
      for (int i = 1; i < form.length; ++i) c = c * 64 + (static_cast<unsigned char>(text[i]) & 0x3F);
      return {c, form.length, true};
    }
    longest = std::max(longest, matched);
  }
  return {0xFFFD, std::max(1, longest), false};
}

/// Offset of the first invalid sequence by the specification.
size_t specified_invalid(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = specified(text.substr(at));
    if (!step.valid) return at;
    at += static_cast<size_t>(step.length_bytes);
  }
  return std::string_view::npos;
}

/// Checks `text` against the specification; the first bad text becomes the message.
void check_text(std::string_view text, std::string& bad) {
  const Utf8Step found = decode_utf8(text, 0), expected = specified(text);
  const bool same = found.code_point == expected.code_point && found.length_bytes == expected.length_bytes &&
                    found.valid == expected.valid && find_invalid_utf8(text) == specified_invalid(text);
  if (same || !bad.empty()) return;
  for (const char c : text) bad += fmt::format("{:02X} ", static_cast<unsigned char>(c));
}

TEST(Utf8Test, EveryStringOfOneToThreeBytes) {
  std::string bad;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      for (int c = 0; c < 256; ++c) {
        const char text[3] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)};
        if (b == 0 && c == 0) check_text({text, 1}, bad);
        if (c == 0) check_text({text, 2}, bad);
        check_text({text, 3}, bad);
      }
    }
  }
  EXPECT_EQ(bad, "");
}

TEST(Utf8Test, FourBytesAtTheirBoundaries) {
  const unsigned char edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
  std::string bad;
  for (int lead = 0xEF; lead < 256; ++lead) {
    for (const unsigned char b : edges) {
      for (const unsigned char c : edges) {
        for (const unsigned char d : edges) {
          const char text[4] = {static_cast<char>(lead), static_cast<char>(b), static_cast<char>(c),
                                static_cast<char>(d)};
          check_text({text, 4}, bad);
        }
      }
    }
  }
  EXPECT_EQ(bad, "");
}

TEST(Utf8Test, EveryCodePointSurvives) {
  std::string all;
  int64_t count = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string one;
    append_utf8(one, c);
    const Utf8Step step = decode_utf8(one, 0);
    ASSERT_TRUE(step.valid && step.code_point == c && step.length_bytes == static_cast<int>(one.size())) << uint32_t{c};
    all += one;
    ++count;
  }
  EXPECT_EQ(find_invalid_utf8(all), std::string_view::npos);
  EXPECT_EQ(count_code_points(all), count);
}

TEST(Utf8Test, WhatwgReplacement) {
  // Unicode standard, chapter 3, tables 3-8 to 3-11: one U+FFFD for each maximal subpart.
  EXPECT_EQ(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB");
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(repaired("\xF0\x9F\x98"), "\uFFFD");  // cut off at the end
  EXPECT_EQ(repaired("caf\xE9 au lait"), "caf\uFFFD au lait");
}

TEST(Utf8Test, ReplacementsAreCountedOnTop) {
  int64_t replaced = 5;
  EXPECT_EQ(replace_invalid_utf8("fine ✓", replaced), "fine ✓");
  EXPECT_EQ(replaced, 5);
  replace_invalid_utf8("\xFF\xFE\xE1\x80", replaced);
  EXPECT_EQ(replaced, 8);
}

TEST(Utf8Test, InvalidIsFoundAtEveryOffset) {
  // Around the eight-byte stride, among ASCII and others.
  for (size_t at = 0; at < 40; ++at) {
    std::string text(at, 'a');
    text += "\xFF" + std::string(20, 'b');
    EXPECT_EQ(find_invalid_utf8(text), at);
    std::string wide;
    for (size_t i = 0; i < at; ++i) wide += "é";
    EXPECT_EQ(find_invalid_utf8(wide + "\xC3"), 2 * at);
  }
  EXPECT_EQ(find_invalid_utf8(""), std::string_view::npos);
}

TEST(Utf8Test, CodePoints) {
  EXPECT_EQ(count_code_points(""), 0);
  EXPECT_EQ(count_code_points("aé中😀"), 4);
}

}  // namespace
}  // namespace cloze
