// Every code point, combining marks, characters without width, emoji; and the tools that all blocks use.
#include "tests/text/hostile_text.h"

namespace cloze {
namespace {

void alone(HostileLines& lines) {
  for_every_code_point([&](char32_t c) { lines.add(utf8(c)); });
}

/// In words, at their ends, doubled, before reordered marks, between special tokens.
void in_words(HostileLines& lines) {
  for_every_code_point([&](char32_t c) {
    const std::string s = utf8(c);
    lines.add("a" + s + "b 中" + s + "中 " + s + "x x" + s + " " + s + s + " y" + s + s + "z e" + s +
              "\u0301\u0323 [SEP]" + s + "[MASK]" + s);
  });
}

const std::vector<CodePoints> kMarks = {
    {0x300, 0x36F},     {0x483, 0x487},     {0x591, 0x5C7},     {0x610, 0x61A},     {0x64B, 0x65F},
    {0x670, 0x670},     {0x6D6, 0x6ED},     {0x711, 0x711},     {0x93C, 0x93C},     {0x94D, 0x94D},
    {0x951, 0x954},     {0xC55, 0xC56},     {0xE38, 0xE3A},     {0xE48, 0xE4B},     {0xF18, 0xF19},
    {0xF71, 0xF87},     {0x1039, 0x103A},   {0x135D, 0x135F},   {0x17D2, 0x17D2},   {0x18A9, 0x18A9},
    {0x1A17, 0x1A18},   {0x1AB0, 0x1ACE},   {0x1B34, 0x1B35},   {0x1B44, 0x1B44},   {0x1DC0, 0x1DFF},
    {0x20D0, 0x20F0},   {0x2DE0, 0x2DE3},   {0x302A, 0x302F},   {0x3099, 0x309A},   {0xFB1E, 0xFB1E},
    {0xFE20, 0xFE2F},   {0x10A0D, 0x10A0F}, {0x11046, 0x11046}, {0x16FF0, 0x16FF1}, {0x1D165, 0x1D172},
    {0x1E8D0, 0x1E8D6}, {0x1E94A, 0x1E94A}};

void combining(HostileLines& lines) {
  const std::vector<std::string> marks = characters(kMarks);
  const std::vector<std::string> bases = {"a", "é", "Å", "ﬁ", "한",         "\u1112\u1161", "中", "\uFA0E", "!",
                                          "1", " ", "я", "ש", "\U0001D15E", "\u1B05",       "i",  "[MASK]"};
  for (const std::string& first : marks)
    for (const std::string& second : marks) lines.add(lines.pick(bases) + first + second + "b");
  for (const std::string& base : bases)
    for (const std::string& mark : marks) lines.add(mark + base + mark + mark + base);
  for (int i = 0; i < 3000; ++i) {
    const size_t longest[] = {4, 20, 150, 2000};
    std::string line = lines.pick(bases);
    for (size_t n = 1 + lines.below(longest[i % 4]); n > 0; --n) {
      line += lines.pick(marks);
      if (lines.below(40) == 0) line += lines.pick(bases);
    }
    lines.add(line);
  }
}

/// Joiners, breaks, fillers, byte order marks, variation selectors, tags: next to everything they can touch.
void invisible(HostileLines& lines) {
  const std::vector<std::string> signs = characters({{0xAD, 0xAD},
                                                     {0x34F, 0x34F},
                                                     {0x61C, 0x61C},
                                                     {0x115F, 0x1160},
                                                     {0x17B4, 0x17B5},
                                                     {0x180B, 0x180F},
                                                     {0x200B, 0x200F},
                                                     {0x2028, 0x202F},
                                                     {0x205F, 0x206F},
                                                     {0x3164, 0x3164},
                                                     {0xFE00, 0xFE0F},
                                                     {0xFEFF, 0xFEFF},
                                                     {0xFFA0, 0xFFA0},
                                                     {0xFFF9, 0xFFFD},
                                                     {0x1BCA0, 0x1BCA3},
                                                     {0x1D173, 0x1D17A},
                                                     {0xE0000, 0xE007F},
                                                     {0xE0100, 0xE01EF}});
  const std::vector<std::string> hosts = {"a",  "é",  "e\u0301", "中", "한", "\u1112\u1161\u11AB", "☺", "!",
                                          "क्ष", "لا", "[MASK]",  " ",  "1"};
  for (const std::string& sign : signs) {
    for (const std::string& host : hosts) lines.add(host + sign + host + " " + sign + host + sign);
    lines.add("[MA" + sign + "SK] [" + sign + "MASK] [MASK" + sign + "] [CLS]" + sign + "[SEP]");
    lines.add("e" + sign + "\u0301\u0323 \u1112" + sign + "\u1161" + sign + "\u11AB I" + sign + "\u0307");
  }
  std::vector<std::string> parts = signs;
  for (int i = 0; i < 20; ++i) parts.insert(parts.end(), hosts.begin(), hosts.end());
  lines.add_random(20000, 25, parts);
}

void emoji(HostileLines& lines) {
  const std::vector<std::string> tones = characters({{0x1F3FB, 0x1F3FF}}), flags = characters({{0x1F1E6, 0x1F1FF}});
  const std::vector<std::string> signs = characters({{0x2600, 0x27BF}, {0x1F300, 0x1FAFF}});
  const std::string joiner = "\u200D", colour = "\uFE0F";
  for (const std::string& first : flags)
    for (const std::string& second : flags) lines.add(first + second + "a" + second + first + second);
  for (const std::string& sign : signs)
    lines.add(sign + colour + " " + sign + lines.pick(tones) + joiner + lines.pick(signs) + colour + "x" + sign);
  for (const char key : std::string_view("#*0123456789"))
    lines.add(std::string(1, key) + colour + "\u20E3" + key + "\u20E3a" + key + colour);
  for (const char* person : {"👨", "👩", "🧑", "👁"})
    for (const char* child : {"👧", "👦", "❤\uFE0F", "🗨"})
      lines.add(person + joiner + person + joiner + child + joiner + child + " " + child + colour + joiner + person);
  for (const char* region : {"gbeng", "gbsct", "usca"}) {
    std::string line = "a🏴";
    for (const char* letter = region; *letter; ++letter) line += utf8(0xE0000 + static_cast<unsigned char>(*letter));
    lines.add(line + utf8(0xE007F) + "b");
  }
  std::vector<std::string> parts = signs;
  for (int i = 0; i < 60; ++i) parts.insert(parts.end(), {joiner, colour, "\uFE0E", "a", "中", "\u20E3", "[SEP]"});
  lines.add_random(20000, 12, parts);
}

/// Anything beside anything.
void mixture(HostileLines& lines) {
  for (int i = 0; i < 60000; ++i) {
    std::string line;
    const char32_t ends[] = {0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000};
    for (size_t n = 1 + lines.below(30); n > 0; --n) {
      const char32_t c = static_cast<char32_t>(lines.below(ends[lines.below(6)]));
      if (c != '\n' && c != '\r' && (c < 0xD800 || c > 0xDFFF)) append_utf8(line, c);
    }
    lines.add(line);
  }
}

}  // namespace

HostileLines::HostileLines(std::string_view block) : rng_(1, RandomStream::kTest, 0) {
  uint32_t hash = 0x811C9DC5;
  for (const char c : block) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  rng_ = Rng(1, RandomStream::kTest, hash);
}

void HostileLines::add_random(int count, size_t longest, const std::vector<std::string>& parts) {
  for (int i = 0; i < count; ++i) {
    std::string line;
    for (size_t n = 1 + below(longest); n > 0; --n) {
      line += pick(parts);
      if (below(12) == 0) line += ' ';
    }
    add(line);
  }
}

std::vector<std::string> characters(const std::vector<CodePoints>& ranges) {
  std::vector<std::string> out;
  for (const auto& [first, last] : ranges)
    for (char32_t c = first; c <= last; ++c) out.push_back(utf8(c));
  return out;
}

std::vector<std::string> every_character_vocabulary() {
  std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for_every_code_point([&](char32_t c) {
    if (c <= ' ' || (c >= 0x32400 && c < 0xE0000) || c >= 0xE0200) return;
    pieces.push_back(utf8(c));
    pieces.push_back("##" + utf8(c));
  });
  return pieces;
}

std::vector<HostileBlock> hostile_character_blocks() {
  return {{"alone", alone},         {"in_words", in_words}, {"combining", combining},
          {"invisible", invisible}, {"emoji", emoji},       {"mixture", mixture}};
}

std::vector<HostileBlock> hostile_blocks() {
  std::vector<HostileBlock> blocks;
  for (const auto& part : {hostile_character_blocks(), hostile_script_blocks(), hostile_line_blocks()})
    blocks.insert(blocks.end(), part.begin(), part.end());
  return blocks;
}

std::string hostile_text(const HostileBlock& block) {
  HostileLines lines(block.name);
  block.write(lines);
  return std::move(lines.text());
}

}  // namespace cloze
