// Hostile lines for the tokenizer, the same on every machine. Blocks of lines by what is hostile about them; their
// answers by the peer are in golden/hostile.tsv, their files come out of the test HostileText.WritesItsFiles.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/base/utf8.h"

namespace cloze {

/// The text of one block. Lines hold neither '\n' nor '\r' and each ends with '\n'.
class HostileLines {
 public:
  explicit HostileLines(std::string_view block);

  void add(std::string_view line) { text_.append(line).push_back('\n'); }
  /// Uniform in [0, n), from a stream of the block's own.
  size_t below(size_t n) { return static_cast<size_t>(rng_.below(n)); }
  const std::string& pick(const std::vector<std::string>& list) { return list[below(list.size())]; }
  /// Lines of 1 to `longest` random parts, spaces among them.
  void add_random(int lines, size_t longest, const std::vector<std::string>& parts);
  std::string& text() { return text_; }

 private:
  Rng rng_;
  std::string text_;
};

struct HostileBlock {
  const char* name;
  void (*write)(HostileLines& lines);
};

// The blocks, by file. Only the block "broken_utf8" is not valid UTF-8; "ten_megabytes" has few lines, but long ones.
std::vector<HostileBlock> hostile_character_blocks();  ///< hostile_characters.cc: every code point, runs, sequences
std::vector<HostileBlock> hostile_script_blocks();     ///< hostile_scripts.cc: what scripts do
std::vector<HostileBlock> hostile_line_blocks();       ///< hostile_lines.cc: long words, special tokens, bytes, sizes

std::vector<HostileBlock> hostile_blocks();
std::string hostile_text(const HostileBlock& block);

/// Pieces under which ids tell normalized text: the five special tokens, then every character up to the ideographs'
/// last plane, at a word's start and inside.
std::vector<std::string> every_character_vocabulary();

// What blocks are made of.
inline std::string utf8(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}
inline std::string repeated(std::string_view part, size_t count) {
  std::string out;
  out.reserve(part.size() * count);
  for (size_t i = 0; i < count; ++i) out += part;
  return out;
}
struct CodePoints {
  char32_t first, last;
};
/// The characters of the ranges, a string each.
std::vector<std::string> characters(const std::vector<CodePoints>& ranges);
/// Calls visit(c) for every code point but surrogates and line ends.
template <class Visit>
void for_every_code_point(Visit&& visit) {
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c != '\n' && c != '\r' && (c < 0xD800 || c > 0xDFFF)) visit(c);
}

}  // namespace cloze
