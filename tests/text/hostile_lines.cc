// Words at the limit, special tokens, spaces and punctuation, broken UTF-8, lines of ten megabytes.
#include "tests/text/hostile_text.h"

namespace cloze {
namespace {

const std::vector<std::string> kSpecial = {"[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"};

/// Words around the limit of 100 characters, which counts after the normalizer.
void long_words(HostileLines& lines) {
  const std::vector<std::string> letters = {"a",
                                            "A",
                                            "é",
                                            "e\u0301",
                                            "я",
                                            "ß",
                                            "İ",
                                            "한",
                                            "각",
                                            "\u1112\u1161",
                                            "क्",
                                            "\u0E01\u0E31",
                                            "\U0001D400",
                                            "\U00010400",
                                            "a\u200B",
                                            "\u00AD"
                                            "a",
                                            "\u302E"
                                            "a",
                                            "\u0344",
                                            "\uFA0E",
                                            "\u1B06"};
  for (const std::string& letter : letters) {
    for (size_t length = 48; length <= 102; length += length == 51 ? 47 : 1) {
      const std::string word = repeated(letter, length);
      lines.add(word);
      lines.add(word + "\u0301 " + word + "\u0903");
      lines.add("中" + word + "中" + word + "x中");
      lines.add(word + "!" + word + "İ" + word);
      lines.add("[MASK]" + word + "[SEP]" + word + "[mask]" + word);
      lines.add(std::string("é") + word.substr(letter.size()) + " " + word + "é");
    }
  }
  for (int i = 0; i < 10000; ++i) {
    std::string line;
    for (size_t n = 90 + lines.below(20); n > 0; --n) line += lines.pick(letters);
    lines.add(line);
    line.clear();
    for (size_t n = 97 + lines.below(6); n > 0; --n) line += lines.pick({"a", "b", "É", "e", "n"});
    lines.add(line);
  }
}

void special_tokens(HostileLines& lines) {
  const std::vector<std::string> beside = {
      "",   " ",      "a",      "中", "\u0301", "\u0323\u0301", "[",          "]",      "［", "］", "【", "\u200B", "!",
      "##", "\uFE0F", "\u3000", "\t", "한",     "\u1161",       "\U0001F600", "\uFEFF", "é",  "İ",  "[[", "]]"};
  for (const std::string& token : kSpecial) {
    for (const std::string& left : beside)
      for (const std::string& right : beside) lines.add(left + token + right + token + left);
    for (const std::string& other : kSpecial)
      lines.add(token + other + token + " " + other + "a" + token + other.substr(1) + token.substr(0, 3) + other);
    for (size_t cut = 1; cut < token.size(); ++cut)
      for (const std::string& inside : beside)
        lines.add(std::string("x") + token.substr(0, cut) + inside + token.substr(cut));
    std::string lower = token, wide;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    for (const char c : token) append_utf8(wide, 0xFEE0 + static_cast<char32_t>(c));
    lines.add(lower + " " + wide + " a" + lower + token + wide);
    for (size_t i = 1; i + 1 < token.size(); ++i) {
      std::string mixed = token;
      mixed[i] = lower[i];
      lines.add(mixed + token + mixed);
    }
  }
  std::vector<std::string> parts = kSpecial;
  parts.insert(parts.end(), beside.begin(), beside.end());
  parts.insert(parts.end(), {"[MA", "SK]", "[mask]", "CLS", "[C", "[S", "EP]", "##a", "the", "[UNK", "PAD]"});
  lines.add_random(40000, 20, parts);
}

void spaces_and_punctuation(HostileLines& lines) {
  std::vector<std::string> spaces = characters({{0x1, 0x9},
                                                {0xB, 0xC},
                                                {0xE, 0x20},
                                                {0x7F, 0xA0},
                                                {0x1680, 0x1680},
                                                {0x180E, 0x180E},
                                                {0x2000, 0x200F},
                                                {0x2028, 0x202F},
                                                {0x205F, 0x2060},
                                                {0x3000, 0x3000},
                                                {0xFEFF, 0xFEFF}});
  spaces.push_back(std::string(1, '\0'));
  for (const std::string& first : spaces)
    for (const std::string& second : spaces) lines.add(first + "a" + first + second + "b" + second + "[SEP]" + first);
  const std::vector<std::string> points = characters({{0x21, 0x2F},
                                                      {0x3A, 0x40},
                                                      {0x5B, 0x60},
                                                      {0x7B, 0x7E},
                                                      {0xA1, 0xBF},
                                                      {0x2010, 0x2027},
                                                      {0x3001, 0x3003},
                                                      {0x2E00, 0x2E5D},
                                                      {0xFE50, 0xFE6B},
                                                      {0xFF01, 0xFF0F},
                                                      {0x1F4A9, 0x1F4A9},
                                                      {0x10100, 0x10102}});
  for (const std::string& point : points) {
    for (const size_t count : {2, 3, 99, 100, 101, 1000, 5000})
      lines.add(std::string("a") + repeated(point, count) + "b");
    lines.add(repeated(point + "\u0301", 300) + repeated(" " + point, 100) + repeated("##" + point, 100));
  }
  std::vector<std::string> parts = points;
  parts.insert(parts.end(), spaces.begin(), spaces.end());
  parts.insert(parts.end(), {"a", "b", "c", "中", "é", "\u0338", "##", "[MASK]"});
  lines.add_random(40000, 40, parts);
}

/// Truncated forms, overlong forms, surrogates, more than U+10FFFF, bytes that never stand, continuations alone.
const std::vector<std::string> kBroken = {"\xC3",
                                          "\xDF",
                                          "\xE4",
                                          "\xE4\xB8",
                                          "\xE0\xA0",
                                          "\xED\x9F",
                                          "\xF0",
                                          "\xF0\x9F",
                                          "\xF0\x9F\x98",
                                          "\xF4\x8F\xBF",
                                          "\xC0\x80",
                                          "\xC1\xBF",
                                          "\xC1\x81",
                                          "\xE0\x80\x80",
                                          "\xE0\x9F\xBF",
                                          "\xF0\x80\x80\x80",
                                          "\xF0\x8F\xBF\xBF",
                                          "\xED\xA0\x80",
                                          "\xED\xBF\xBF",
                                          "\xED\xA0\xBD\xED\xB8\x80",
                                          "\xF4\x90\x80\x80",
                                          "\xF5\x80\x80\x80",
                                          "\xF7\xBF\xBF\xBF",
                                          "\xF8\x88\x80\x80\x80",
                                          "\xFC\x84\x80\x80\x80\x80",
                                          "\xFE",
                                          "\xFF",
                                          "\xFF\xFE",
                                          "\x80",
                                          "\xBF",
                                          "\xA0\xA0",
                                          "\x80\x80\x80",
                                          "\x80\x80\x80\x80\x80",
                                          "\xEF\xBF\xBD",
                                          "\xEF\xBF",
                                          "\xEF\xBB",
                                          "\xEF\xBB\xBF\xEF"};

void broken_utf8(HostileLines& lines) {
  const std::vector<std::string> hosts = {"[CLS]",
                                          "a[MASK]b",
                                          "[SEP][PAD]",
                                          "x [UNK] y",
                                          "aé中😀b",
                                          "e\u0301\u0323中",
                                          "한\u1112\u1161\u11AB",
                                          "one two",
                                          "\u00A0\u3000!",
                                          ""};
  for (const std::string& host : hosts) {
    for (const std::string& bad : kBroken) {
      for (size_t at = 0; at <= host.size(); ++at) {
        lines.add(host.substr(0, at) + bad + host.substr(at));
        lines.add(host.substr(0, at) + bad + host.substr(std::min(at + 1, host.size())) + host + bad);
      }
    }
    for (size_t at = 0; at < host.size(); ++at) lines.add(host.substr(0, at) + host.substr(at + 1) + "[MASK]");
  }
  std::vector<std::string> parts = kBroken;
  parts.insert(parts.end(), kSpecial.begin(), kSpecial.end());
  parts.insert(parts.end(), {"a", "b", "the", "é", "中", "中", "😀", "\u0301", "!", "한", "\uFFFD", "\u200B"});
  lines.add_random(30000, 12, parts);
  for (int i = 0; i < 30000; ++i) {
    std::string line;
    for (size_t n = 1 + lines.below(24); n > 0; --n) {
      const char byte = static_cast<char>(lines.below(3) ? 0x80 + lines.below(0x80) : lines.below(0x80));
      if (byte != '\n' && byte != '\r') line += byte;
    }
    lines.add(line);
  }
}

/// Lines of ten megabytes without a space.
void ten_megabytes(HostileLines& lines) {
  const auto add = [&](const std::string& part) { lines.add(repeated(part, 10'000'000 / part.size())); };
  for (const char* part : {"a", "é", "中", "!", "\u0301", "\u0323\u0301", "\u200B", "[MASK]", "[mask]", "\xFF"})
    add(part);
  add(repeated("a", 100) + "中");
  const std::vector<std::string> parts = {"a",  "B", "é",     "e\u0301\u0323", "中",
                                          "한", "!", "[SEP]", "\u200B",        "\u1112\u1161\u11AB"};
  std::string mixed;
  while (mixed.size() < 10'000'000) mixed += lines.pick(parts);
  lines.add(mixed);
}

}  // namespace

std::vector<HostileBlock> hostile_line_blocks() {
  return {{"long_words", long_words},
          {"special_tokens", special_tokens},
          {"spaces_and_punctuation", spaces_and_punctuation},
          {"broken_utf8", broken_utf8},
          {"ten_megabytes", ten_megabytes}};
}

}  // namespace cloze
