// CharMap: what the normalizer and the word splitter together do with one code point, compiled for one set of options
// into a two-level table, so that the tokenizer needs one look-up a character.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cloze {

/// The switches of BERT's normalizer, in the order in which the steps run.
struct NormalizerOptions {
  bool clean_text = true;            ///< drop controls, turn every whitespace into a space
  bool handle_chinese_chars = true;  ///< make each Chinese character a word
  std::optional<bool> strip_accents =
      std::nullopt;  ///< decompose (NFD) and drop nonspacing marks; absent: as `lowercase`
  bool lowercase = true;

  bool strips_accents() const { return strip_accents.value_or(lowercase); }
  bool operator==(const NormalizerOptions&) const = default;
};

enum class CharKind : uint8_t {
  kSame,       ///< a character of a word, unchanged
  kWord,       ///< a character of a word; becomes CharAction::code_point
  kWords,      ///< becomes several characters of a word: CharMap::sequence
  kHangul,     ///< a syllable that becomes its two or three jamo
  kAloneSame,  ///< a word of its own, unchanged (punctuation, Chinese)
  kAlone,      ///< a word of its own; becomes CharAction::code_point
  kDrop,       ///< vanishes; the word goes on
  kSpace,      ///< ends the word
  kComplex,    ///< depends on its neighbours: the exact normalizer must look at the whole text
};

struct CharAction {
  CharKind kind;
  char32_t code_point;  ///< kWord, kAlone: the result; kWords: the key for sequence()
};

class CharMap {
 public:
  explicit CharMap(const NormalizerOptions& options);

  /// `c` must be a code point (<= U+10FFFF).
  CharAction at(char32_t c) const {
    const uint32_t cell = cells_[size_t{blocks_[c >> 8]} << 8 | (c & 0xFF)];
    return {static_cast<CharKind>(cell & 0xF), static_cast<char32_t>(cell >> 4)};
  }
  /// The UTF-8 text of a kWords action.
  const std::string& sequence(CharAction action) const { return sequences_[action.code_point]; }

 private:
  uint32_t compile(char32_t c, const NormalizerOptions& options);

  std::array<uint16_t, 0x1100> blocks_{};
  std::vector<uint32_t> cells_;  ///< payload << 4 | kind; blocks of 256, equal ones shared
  std::vector<std::string> sequences_;
};

}  // namespace cloze
