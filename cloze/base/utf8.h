// UTF-8: decoding, checking, and repair by the WHATWG rule (one U+FFFD for each maximal invalid subpart).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cloze {

/// One decoded step: a code point and the bytes it took (1 to 4). `valid` is false for an invalid subpart,
/// whose code point is then U+FFFD and whose length is the maximal subpart's.
struct Utf8Step {
  char32_t code_point;
  int length_bytes;
  bool valid;
};

/// Decodes the code point at `at` (< text.size()). Overlong forms, surrogates and > U+10FFFF are invalid.
Utf8Step decode_utf8(std::string_view text, size_t at);

/// Byte offset of the first invalid sequence, or std::string_view::npos.
size_t find_invalid_utf8(std::string_view text);

/// The text with each invalid subpart replaced by U+FFFD; adds their number to `replaced`.
std::string replace_invalid_utf8(std::string_view text, int64_t& replaced);

/// Appends a code point (a Unicode scalar value) as UTF-8.
void append_utf8(std::string& out, char32_t code_point);

/// Number of code points of valid UTF-8.
int64_t count_code_points(std::string_view text);

}  // namespace cloze
