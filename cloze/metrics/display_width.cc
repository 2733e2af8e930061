#include <algorithm>
#include <array>

#include "cloze/base/utf8.h"
#include "cloze/metrics/report.h"

namespace cloze {
namespace {

struct Range {
  char32_t first, last;
};

/// Combining marks, joiners, variation selectors, direction marks: the blocks, not every single mark.
constexpr auto kInvisible = std::to_array<Range>(
    {{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x064B, 0x065F},   {0x0E31, 0x0E31},
     {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},   {0x200B, 0x200F},
     {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF}, {0x302A, 0x302D},   {0x3099, 0x309A},
     {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0x1F3FB, 0x1F3FF}, {0xE0100, 0xE01EF}});

constexpr auto kWide = std::to_array<Range>({{0x1100, 0x115F},      // Hangul Jamo
                                             {0x231A, 0x231B},      // watch, hourglass
                                             {0x2E80, 0x303E},      // CJK radicals, punctuation
                                             {0x3041, 0x33FF},      // kana, bopomofo, compatibility
                                             {0x3400, 0x4DBF},      // CJK extension A
                                             {0x4E00, 0x9FFF},      // CJK
                                             {0xA000, 0xA4CF},      // Yi
                                             {0xA960, 0xA97F},      // Hangul Jamo extended A
                                             {0xAC00, 0xD7A3},      // Hangul
                                             {0xF900, 0xFAFF},      // CJK compatibility
                                             {0xFE10, 0xFE19},      // vertical forms
                                             {0xFE30, 0xFE6F},      // CJK compatibility and small forms
                                             {0xFF01, 0xFF60},      // fullwidth forms
                                             {0xFFE0, 0xFFE6},      // fullwidth signs
                                             {0x1F300, 0x1F64F},    // pictographs, emoticons
                                             {0x1F680, 0x1F6FF},    // transport
                                             {0x1F900, 0x1F9FF},    // supplemental pictographs
                                             {0x1FA70, 0x1FAFF},    // more pictographs
                                             {0x20000, 0x3FFFD}});  // CJK extensions B and on

template <size_t N>
bool within(const std::array<Range, N>& ranges, char32_t c) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after != ranges.begin() && c <= (after - 1)->last;
}

int width_of(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0) || within(kInvisible, c)) return 0;
  return within(kWide, c) ? 2 : 1;
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    width += width_of(step.code_point);
    at += static_cast<size_t>(step.length_bytes);
  }
  return width;
}

std::string fit_width(std::string_view text, int columns) {
  std::string visible(text);
  for (char& c : visible) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  if (display_width(visible) <= columns) return visible;
  int width = 0;
  size_t at = 0;
  while (at < visible.size()) {
    const Utf8Step step = decode_utf8(visible, at);
    width += width_of(step.code_point);
    if (width > columns - 1) break;  // one column is the ellipsis's
    at += static_cast<size_t>(step.length_bytes);
  }
  return visible.substr(0, at) + "…";
}

}  // namespace cloze
