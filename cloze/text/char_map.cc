#include "cloze/text/char_map.h"

#include <algorithm>
#include <map>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/char_tables.h"

namespace cloze {
namespace {

constexpr char32_t kCodePoints = 0x110000;

uint32_t cell(CharKind kind, uint32_t payload = 0) {
  return payload << 4 | static_cast<uint32_t>(kind);
}

/// One byte a code point: which of the simple tables hold it. Bit 7: it decomposes, has a lower case or combines.
class Flags {
 public:
  static constexpr uint8_t kRemoved = 1, kWhitespace = 2, kPunctuation = 4, kChinese = 8, kMark = 16, kHangul = 32,
                           kMapped = 128;

  Flags() : flags_(kCodePoints, 0) {
    const CharTables& tables = char_tables();
    for (const CodeRange& r : tables.removed) paint(r.first, r.last, kRemoved);
    for (const CodeRange& r : tables.whitespace) paint(r.first, r.last, kWhitespace);
    for (const CodeRange& r : tables.punctuation) paint(r.first, r.last, kPunctuation);
    for (const CodeRange& r : tables.chinese) paint(r.first, r.last, kChinese);
    for (const CodeRange& r : tables.nonspacing_mark) paint(r.first, r.last, kMark);
    paint(0xAC00, 0xD7A3, kHangul);
    for (const LowerRange& r : tables.lower) paint(r.first, r.last, kMapped);
    for (const RankRange& r : tables.rank) paint(r.first, r.last, kMapped);
    const auto data = tables.decomposition;
    for (size_t at = 0; at < data.size(); at += 2 + data[at + 1]) paint(data[at], data[at], kMapped);
    paint(0x130, 0x130, kMapped);
  }
  const uint8_t* block(char32_t first) const { return &flags_[first]; }

 private:
  void paint(char32_t first, char32_t last, uint8_t flag) {
    for (char32_t c = first; c <= last; ++c) flags_[c] |= flag;
  }
  std::vector<uint8_t> flags_;
};

/// The action of a code point that neither decomposes, nor combines, nor has a lower case.
uint32_t simple_cell(uint8_t flags, const NormalizerOptions& options) {
  if (options.clean_text && (flags & Flags::kRemoved)) return cell(CharKind::kDrop);
  if (flags & Flags::kWhitespace) return cell(CharKind::kSpace);
  if (options.strips_accents()) {
    if (flags & Flags::kMark) return cell(CharKind::kDrop);
    if (flags & Flags::kHangul) return cell(CharKind::kHangul);
  }
  const bool alone = (flags & Flags::kPunctuation) || (options.handle_chinese_chars && (flags & Flags::kChinese));
  return cell(alone ? CharKind::kAloneSame : CharKind::kSame);
}

}  // namespace

/// Runs the whole normalizer on one code point. Whatever the simple kinds cannot say becomes kComplex, so this
/// function may be narrow without being wrong.
uint32_t CharMap::compile(char32_t c, const NormalizerOptions& options) {
  if (options.clean_text && is_removed_by_clean(c)) return cell(CharKind::kDrop);
  std::u32string decomposed, stripped, result;
  if (options.strips_accents()) {
    append_decomposition(decomposed, c);
    for (const char32_t d : decomposed) {
      if (is_nonspacing_mark(d)) continue;
      // A mark that stays may change places with its neighbours under canonical ordering.
      if (combining_rank(d) > 0) return cell(CharKind::kComplex);
      stripped += d;
    }
  } else {
    stripped = c;
  }
  for (const char32_t d : stripped) {
    if (options.lowercase) {
      append_lower(result, d);
    } else {
      result += d;
    }
  }
  const bool chinese = options.handle_chinese_chars && is_chinese_char(c);
  if (result.empty()) return cell(chinese ? CharKind::kSpace : CharKind::kDrop);
  const bool plain = std::none_of(result.begin(), result.end(),
                                  [](char32_t d) { return is_text_whitespace(d) || is_text_punctuation(d); });
  if (result.size() == 1) {
    const char32_t to = result[0];
    if (is_text_whitespace(to)) return cell(CharKind::kSpace);
    if (chinese || !plain) return to == c ? cell(CharKind::kAloneSame) : cell(CharKind::kAlone, to);
    return to == c ? cell(CharKind::kSame) : cell(CharKind::kWord, to);
  }
  if (chinese || !plain) return cell(CharKind::kComplex);
  std::string text;
  for (const char32_t d : result) append_utf8(text, d);
  sequences_.push_back(text);
  return cell(CharKind::kWords, static_cast<uint32_t>(sequences_.size() - 1));
}

CharMap::CharMap(const NormalizerOptions& options) {
  static const Flags kFlags;
  std::map<uint8_t, uint16_t> uniform;  // blocks whose 256 code points all have the same simple flags
  for (char32_t first = 0; first < kCodePoints; first += 256) {
    const uint8_t* flags = kFlags.block(first);
    const bool same = std::all_of(flags, flags + 256, [&](uint8_t f) { return f == flags[0]; });
    const bool shared = same && !(flags[0] & Flags::kMapped);
    uint16_t& index = blocks_[first >> 8];
    if (shared && uniform.contains(flags[0])) {
      index = uniform[flags[0]];
      continue;
    }
    index = static_cast<uint16_t>(cells_.size() >> 8);
    if (shared) uniform[flags[0]] = index;
    for (char32_t c = first; c < first + 256; ++c) {
      const uint8_t flag = flags[c - first];
      cells_.push_back(flag & Flags::kMapped ? compile(c, options) : simple_cell(flag, options));
    }
  }
}

}  // namespace cloze
