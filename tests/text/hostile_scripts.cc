// What scripts do: direction, syllables, compatibility forms, case, conjuncts.
#include "tests/text/hostile_text.h"

namespace cloze {
namespace {

/// `parts` so often that they are drawn about as often as the characters of `list`.
void weigh_in(std::vector<std::string>& list, const std::vector<std::string>& parts) {
  for (size_t n = list.size() / parts.size(); n > 0; --n) list.insert(list.end(), parts.begin(), parts.end());
}

void right_to_left(HostileLines& lines) {
  const std::vector<std::string> controls =
      characters({{0x61C, 0x61C}, {0x200C, 0x200F}, {0x202A, 0x202E}, {0x2066, 0x2069}, {0x206A, 0x206F}});
  const std::vector<std::string> letters = characters(
      {{0x590, 0x8FF}, {0xFB1D, 0xFDFF}, {0xFE70, 0xFEFF}, {0x10800, 0x10FFF}, {0x1E800, 0x1E95F}, {0x1EE00, 0x1EEF1}});
  for (const std::string& c : letters)
    for (const std::string& control : controls) lines.add("a" + control + c + "1" + c + control + "\u0651\u064B" + c);
  std::vector<std::string> parts = letters;
  weigh_in(parts, controls);
  weigh_in(parts, {"a", "1", "(", ")", "[CLS]", "\u05B0", "\u0651", "\u064B", "\u0345"});
  lines.add_random(20000, 20, parts);
}

/// Every syllable whole and in parts, with a mark before its last part; jamo old and new in any order.
void hangul(HostileLines& lines) {
  for (char32_t l = 0; l < 19; ++l) {
    for (char32_t v = 0; v < 21; ++v) {
      for (char32_t t = 0; t < 28; ++t) {
        const std::string whole = utf8(0xAC00 + (l * 21 + v) * 28 + t), head = utf8(0x1100 + l) + utf8(0x1161 + v);
        const std::string tail = t == 0 ? "" : utf8(0x11A7 + t);
        lines.add(whole + " " + head + tail + "a" + whole + "\u0301 " + head + "\u302E" + tail + " " +
                  utf8(0xAC00 + (l * 21 + v) * 28) + tail + whole);
      }
    }
  }
  std::vector<std::string> parts = characters({{0x1100, 0x11FF},
                                               {0x3131, 0x318E},
                                               {0xA960, 0xA97C},
                                               {0xAC00, 0xAC80},
                                               {0xD7B0, 0xD7FB},
                                               {0xFFA0, 0xFFDC},
                                               {0x302E, 0x302F},
                                               {0x3200, 0x321E},
                                               {0x3260, 0x327F}});
  weigh_in(parts, {"한", "a", "中", "\u0301", "[MASK]", "\u200D"});
  lines.add_random(30000, 20, parts);
}

void compatibility(HostileLines& lines) {
  const std::vector<std::string> forms =
      characters({{0xA0, 0xBF},     {0x132, 0x133},     {0x1C4, 0x1F5},     {0x2B0, 0x2E4},    {0x1D2C, 0x1DBF},
                  {0x2000, 0x2027}, {0x2030, 0x205E},   {0x2070, 0x209C},   {0x2100, 0x218F},  {0x222C, 0x2230},
                  {0x2460, 0x24FF}, {0x2E80, 0x2FD5},   {0x3000, 0x303F},   {0x309B, 0x309F},  {0x30FF, 0x30FF},
                  {0x3190, 0x33FF}, {0xF900, 0xFAFF},   {0xFB00, 0xFB17},   {0xFE10, 0xFE19},  {0xFE30, 0xFE6B},
                  {0xFF01, 0xFFEE}, {0x1D400, 0x1D7FF}, {0x1F100, 0x1F202}, {0x2F800, 0x2FA1D}});
  for (const std::string& c : forms) {
    lines.add(c + "a" + c + "\u0301" + c + "中" + c + "［MASK］ ［" + c + "］");
    lines.add("x" + c + c + "\u3099\u0323 " + c + "[SEP]" + c);
  }
  std::vector<std::string> parts = forms;
  weigh_in(parts, {"a", "é", "中", "\u0301", "\u0338", "\u3099", "[UNK]"});
  lines.add_random(30000, 20, parts);
}

/// Letters that grow, shrink or depend on neighbours when their case changes.
void cases(HostileLines& lines) {
  const std::vector<std::string> letters =
      characters({{0x41, 0x5A},       {0xB5, 0x24F},      {0x250, 0x2AF},     {0x345, 0x345},     {0x370, 0x52F},
                  {0x531, 0x587},     {0x10A0, 0x10FF},   {0x13A0, 0x13FD},   {0x1C80, 0x1CBF},   {0x1E00, 0x1FFF},
                  {0x2126, 0x2132},   {0x2160, 0x2188},   {0x24B6, 0x24E9},   {0x2C00, 0x2CFF},   {0xA640, 0xA69B},
                  {0xA722, 0xA7FF},   {0xAB30, 0xABBF},   {0xFB00, 0xFB17},   {0xFF21, 0xFF5A},   {0x10400, 0x104FF},
                  {0x10570, 0x105BF}, {0x10C80, 0x10CF2}, {0x118A0, 0x118DF}, {0x16E40, 0x16E7F}, {0x1E900, 0x1E943}});
  const std::vector<std::string> others = {"Σ", "İ", "ß", "ẞ", "ŉ",       "ǰ",      "I\u0307",
                                           "I", "ﬃ", "ǅ", "ΐ", "Ὀ\u0345", "J\u030C"};
  for (const std::string& c : letters) {
    lines.add(c + "Σ Σ" + c + " " + c + "Σ" + c + " " + c + "\u0307" + c + "\u0345" + c + "\u0301");
    for (const std::string& other : others) lines.add(other + c + other + " " + c + other + "\u0307." + c);
  }
  std::vector<std::string> parts = letters;
  weigh_in(parts, others);
  weigh_in(parts, {"\u0301", "\u0307", "\u0328", "\u0345", "'", "."});
  lines.add_random(30000, 16, parts);
}

void conjuncts(HostileLines& lines) {
  const std::vector<std::vector<CodePoints>> scripts = {
      {{0x900, 0x97F}},     {{0x980, 0x9FE}},    {{0xA00, 0xA76}},   {{0xA80, 0xAFF}},     {{0xB00, 0xB77}},
      {{0xB80, 0xBFA}},     {{0xC00, 0xC7F}},    {{0xC80, 0xCF3}},   {{0xD00, 0xD7F}},     {{0xD80, 0xDF4}},
      {{0xE00, 0xE5B}},     {{0xE80, 0xEDF}},    {{0xF00, 0xFDA}},   {{0x1000, 0x109F}},   {{0x1780, 0x17F9}},
      {{0x1800, 0x18AA}},   {{0x1A00, 0x1AAD}},  {{0x1B00, 0x1B7E}}, {{0x1B80, 0x1BFF}},   {{0xA800, 0xA8FF}},
      {{0xA980, 0xA9DF}},   {{0xAA00, 0xAADF}},  {{0xABC0, 0xABFF}}, {{0x11000, 0x1107F}}, {{0x11080, 0x111FF}},
      {{0x11300, 0x1147F}}, {{0x11480, 0x115FF}}};
  for (const std::vector<CodePoints>& script : scripts) {
    std::vector<std::string> parts = characters(script);
    for (const std::string& c : parts) lines.add("a" + c + "\u200D" + c + "\u093C" + c + "\u200C" + c + " " + c + "中");
    weigh_in(parts, {"\u094D", "\u093C", "\u200D", "\u200C", "\u0F71", "\u1B44", "a", "\u0301"});
    lines.add_random(2500, 24, parts);
  }
}

}  // namespace

std::vector<HostileBlock> hostile_script_blocks() {
  return {{"right_to_left", right_to_left},
          {"hangul", hangul},
          {"compatibility", compatibility},
          {"cases", cases},
          {"conjuncts", conjuncts}};
}

}  // namespace cloze
