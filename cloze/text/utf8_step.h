// UTF-8 one character at a time, for the hot loops of text/. Internal to text_encoder.cc and word_splitter.cc.
#pragma once

#include <string_view>

#include "cloze/base/utf8.h"

namespace cloze {

/// decode_utf8 with the common cases of valid text first.
inline Utf8Step decode_step(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned lead = byte(0);
  if (lead >= 0xE1 && lead <= 0xEC && at + 2 < text.size() && (byte(1) & 0xC0) == 0x80 && (byte(2) & 0xC0) == 0x80)
    return {static_cast<char32_t>((lead & 0xF) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu)), 3, true};
  if (lead >= 0xC2 && lead <= 0xDF && at + 1 < text.size() && (byte(1) & 0xC0) == 0x80)
    return {static_cast<char32_t>((lead & 0x1F) << 6 | (byte(1) & 0x3Fu)), 2, true};
  return decode_utf8(text, at);
}

/// A code point as UTF-8 without allocation.
struct ShortText {
  explicit ShortText(char32_t c) {
    if (c < 0x80) {
      bytes[0] = static_cast<char>(c);
      length = 1;
      return;
    }
    length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; --i, c >>= 6) bytes[i] = static_cast<char>(0x80 | (c & 0x3F));
    bytes[0] = static_cast<char>((0xF00 >> length & 0xF0) | c);
  }
  std::string_view view() const { return {bytes, static_cast<size_t>(length)}; }
  char bytes[4];
  int length;
};

}  // namespace cloze
