#include "cloze/text/normalizer.h"

#include <algorithm>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"

namespace cloze {

bool decode_text(std::string_view text, int32_t byte, int32_t point, std::vector<NormalizedChar>& out) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    if (!step.valid) return false;
    out.push_back({step.code_point, {byte, byte + step.length_bytes, point, point + 1}});
    at += static_cast<size_t>(step.length_bytes);
    byte += step.length_bytes;
    ++point;
  }
  return true;
}

void clean_text(std::vector<NormalizedChar>& text) {
  std::erase_if(text, [](const NormalizedChar& c) { return is_removed_by_clean(c.code_point); });
  for (NormalizedChar& c : text)
    if (is_text_whitespace(c.code_point)) c.code_point = U' ';
}

void pad_chinese_chars(std::vector<NormalizedChar>& text) {
  std::vector<NormalizedChar> out;
  out.reserve(text.size());
  for (const NormalizedChar& c : text) {
    const bool chinese = is_chinese_char(c.code_point);
    if (chinese) out.push_back({U' ', c.source});
    out.push_back(c);
    if (chinese) out.push_back({U' ', c.source});
  }
  text = std::move(out);
}

/// NFD, then without nonspacing marks. Canonical ordering moves characters but, in the peer, not their alignment: the
/// first parts of decompositions take the sources in their old order, one after another, and the further parts take
/// the source of the part before them.
void strip_accents(std::vector<NormalizedChar>& text) {
  struct Part {
    char32_t code_point;
    int rank;
    bool first;  ///< of its decomposition
  };
  std::vector<Part> parts;
  parts.reserve(text.size());
  std::u32string decomposed;
  size_t run = 0;  // where the marks since the last starter begin
  const auto sort_run = [&] {
    std::stable_sort(parts.begin() + static_cast<std::ptrdiff_t>(run), parts.end(),
                     [](const Part& a, const Part& b) { return a.rank < b.rank; });
  };
  for (const NormalizedChar& c : text) {
    decomposed.clear();
    append_decomposition(decomposed, c.code_point);
    for (size_t i = 0; i < decomposed.size(); ++i) {
      const int rank = combining_rank(decomposed[i]);
      if (rank == 0) sort_run();
      parts.push_back({decomposed[i], rank, i == 0});
      if (rank == 0) run = parts.size();
    }
  }
  sort_run();
  std::vector<NormalizedChar> out;
  out.reserve(parts.size());
  size_t taken = 0;
  for (const Part& part : parts) {
    if (part.first) ++taken;
    if (!is_nonspacing_mark(part.code_point)) out.push_back({part.code_point, text[taken - 1].source});
  }
  text = std::move(out);
}

void lowercase(std::vector<NormalizedChar>& text) {
  std::vector<NormalizedChar> out;
  out.reserve(text.size());
  std::u32string lower;
  for (const NormalizedChar& c : text) {
    lower.clear();
    append_lower(lower, c.code_point);
    for (const char32_t to : lower) out.push_back({to, c.source});
  }
  text = std::move(out);
}

void normalize(std::vector<NormalizedChar>& text, const NormalizerOptions& options) {
  if (options.clean_text) clean_text(text);
  if (options.handle_chinese_chars) pad_chinese_chars(text);
  if (options.strips_accents()) strip_accents(text);
  if (options.lowercase) lowercase(text);
}

std::string normalize(std::string_view text, const NormalizerOptions& options) {
  std::vector<NormalizedChar> chars;
  int64_t replaced = 0;
  decode_text(replace_invalid_utf8(text, replaced), 0, 0, chars);
  normalize(chars, options);
  std::string out;
  for (const NormalizedChar& c : chars) append_utf8(out, c.code_point);
  return out;
}

}  // namespace cloze
