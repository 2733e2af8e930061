#include "cloze/base/utf8.h"

#include <cstring>

namespace cloze {

Utf8Step decode_utf8(std::string_view text, size_t at) {
  constexpr Utf8Step kBad1 = {0xFFFD, 1, false};
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return {static_cast<char32_t>(lead), 1, true};
  if (lead < 0xC2 || lead > 0xF4) return kBad1;
  // The second byte's range depends on the lead: it shuts out overlong forms, surrogates and > U+10FFFF.
  const int needed = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code_point = lead & (0x3Fu >> needed);
  for (int i = 1; i <= needed; ++i) {
    if (at + i >= text.size()) return {0xFFFD, i, false};
    const unsigned next = byte(at + i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {0xFFFD, i, false};
    code_point = code_point << 6 | (next & 0x3F);
  }
  return {code_point, needed + 1, true};
}

size_t find_invalid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word;
    if (at + 8 <= text.size()) {  // eight ASCII bytes at a time
      std::memcpy(&word, text.data() + at, 8);
      if ((word & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const Utf8Step step = decode_utf8(text, at);
    if (!step.valid) return at;
    at += step.length_bytes;
  }
  return std::string_view::npos;
}

std::string replace_invalid_utf8(std::string_view text, int64_t& replaced) {
  size_t bad = find_invalid_utf8(text);
  if (bad == std::string_view::npos) return std::string(text);
  std::string out;
  out.reserve(text.size() + 16);
  while (bad != std::string_view::npos) {
    out.append(text.substr(0, bad)).append("\xEF\xBF\xBD");
    ++replaced;
    text.remove_prefix(bad + decode_utf8(text, bad).length_bytes);
    bad = find_invalid_utf8(text);
  }
  return out.append(text);
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

int64_t count_code_points(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace cloze
