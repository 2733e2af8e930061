#include "cloze/text/word_splitter.h"

#include "cloze/text/char_class.h"
#include "cloze/text/normalizer.h"
#include "cloze/text/utf8_step.h"

namespace cloze {
namespace {

void end_word(WordList& out) {
  if (out.bytes.size() > (out.ends.empty() ? 0 : out.ends.back())) out.ends.push_back(out.bytes.size());
}

void put_alone(std::string_view bytes, WordList& out) {
  end_word(out);
  out.bytes += bytes;
  end_word(out);
}

}  // namespace

WordSplitter::WordSplitter(const NormalizerOptions& options) : normalizer_(options), chars_(options) {
  for (unsigned c = 0; c < 256; ++c) {
    ascii_[c] = {CharKind::kComplex, 0};
    if (c >= 0x80) continue;
    const CharAction action = chars_.at(c);
    const bool mapped = action.kind == CharKind::kWord;  // ASCII becomes ASCII: lower case
    ascii_[c] = {mapped ? CharKind::kSame : action.kind, static_cast<char>(mapped ? action.code_point : c)};
  }
}

/// One code point that is not ASCII, through the map.
WordSplitter::Outcome WordSplitter::put_character(char32_t c, std::string_view bytes, WordList& out) const {
  const CharAction action = chars_.at(c);
  switch (action.kind) {
    case CharKind::kSame:
      out.bytes += bytes;
      break;
    case CharKind::kWord:
      out.bytes += ShortText(action.code_point).view();
      break;
    case CharKind::kWords:
      out.bytes += chars_.sequence(action);
      break;
    case CharKind::kHangul: {
      const char32_t syllable = c - 0xAC00;
      out.bytes += ShortText(0x1100 + syllable / 588).view();
      out.bytes += ShortText(0x1161 + syllable % 588 / 28).view();
      if (syllable % 28 != 0) out.bytes += ShortText(0x11A7 + syllable % 28).view();
      break;
    }
    case CharKind::kAloneSame:
      put_alone(bytes, out);
      break;
    case CharKind::kAlone:
      put_alone(ShortText(action.code_point).view(), out);
      break;
    case CharKind::kDrop:
      break;
    case CharKind::kSpace:
      end_word(out);
      break;
    case CharKind::kComplex:
      return Outcome::kNeedsExact;
  }
  return Outcome::kDone;
}

WordSplitter::Outcome WordSplitter::split_fast(std::string_view text, WordList& out) const {
  for (size_t i = 0; i < text.size();) {
    const AsciiAction action = ascii_[static_cast<uint8_t>(text[i])];
    size_t length = 1;
    if (action.kind == CharKind::kSame) {
      out.bytes.push_back(action.byte);
    } else if (action.kind == CharKind::kSpace) {
      end_word(out);
    } else if (action.kind == CharKind::kAloneSame) {
      put_alone({&action.byte, 1}, out);
    } else if (action.kind == CharKind::kComplex) {
      const Utf8Step step = decode_step(text, i);
      if (!step.valid) return Outcome::kInvalid;
      length = static_cast<size_t>(step.length_bytes);
      const Outcome outcome = put_character(step.code_point, text.substr(i, length), out);
      if (outcome != Outcome::kDone) return outcome;
    }
    i += length;
  }
  end_word(out);
  return Outcome::kDone;
}

WordSplitter::Outcome WordSplitter::split_exact(std::string_view text, WordList& out) const {
  std::vector<NormalizedChar> chars;
  if (!decode_text(text, 0, 0, chars)) return Outcome::kInvalid;
  normalize(chars, normalizer_);
  for (const NormalizedChar& c : chars) {
    if (is_text_whitespace(c.code_point)) {
      end_word(out);
    } else if (is_text_punctuation(c.code_point)) {
      put_alone(ShortText(c.code_point).view(), out);
    } else {
      out.bytes += ShortText(c.code_point).view();
    }
  }
  end_word(out);
  return Outcome::kDone;
}

bool WordSplitter::append_words(std::string_view text, WordList& out) const {
  const size_t bytes = out.bytes.size(), words = out.ends.size();
  const auto restore = [&] {
    out.bytes.resize(bytes);
    out.ends.resize(words);
  };
  Outcome outcome = split_fast(text, out);
  if (outcome == Outcome::kNeedsExact) {
    restore();
    outcome = split_exact(text, out);
  }
  if (outcome != Outcome::kDone) restore();
  return outcome == Outcome::kDone;
}

}  // namespace cloze
