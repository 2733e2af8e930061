// TextEncoder: one text to pieces, without [CLS] and [SEP] and without truncation. The hot path of the tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cloze/text/added_tokens.h"
#include "cloze/text/char_map.h"
#include "cloze/text/normalizer.h"
#include "cloze/text/piece_trie.h"
#include "cloze/text/vocabulary.h"

namespace cloze {

/// Pieces with their sources; the vectors have one entry a piece.
struct PieceList {
  std::vector<int32_t> ids, words;
  std::vector<SourceSpan> sources;
};

class TextEncoder {
 public:
  struct Settings {
    NormalizerOptions normalizer;
    std::string prefix;
    int64_t max_chars_per_word;
    std::vector<AddedToken> added_tokens;  ///< with their ids; of one pattern the first counts
  };
  TextEncoder(const Vocabulary& vocabulary, const Settings& settings);

  /// Appends the pieces of `text`. False, with `out` as it was, if the text is not valid UTF-8.
  bool append_ids(std::string_view text, std::vector<int32_t>& out) const;
  bool append_pieces(std::string_view text, PieceList& out) const;

 private:
  enum class Outcome { kDone, kInvalid, kNeedsExact };
  enum class Stage { kRaw, kNormalized };
  template <class Sink>
  class Word;

  static AddedTokenMatcher make_matcher(const Settings& settings, Stage stage);
  template <class Sink>
  bool encode(std::string_view text, Sink& sink) const;
  template <class Sink>
  Outcome encode_fast(std::string_view text, SourceSpan at, Sink& sink) const;
  template <class Sink>
  Outcome encode_exact(std::string_view text, SourceSpan at, Sink& sink) const;
  template <class Sink>
  void encode_normalized(const NormalizedChar* begin, const NormalizedChar* end, Sink& sink) const;
  template <class Sink>
  Outcome put_character(char32_t c, std::string_view bytes, const SourceSpan& source, Word<Sink>& word) const;

  /// What becomes of one ASCII byte.
  struct AsciiAction {
    CharKind kind;    ///< kComplex also marks the bytes that are not ASCII
    uint8_t byte;     ///< kSame and kAloneSame: the byte to match
    int32_t lone_id;  ///< kAloneSame: the id of the word that consists of it
  };

  NormalizerOptions normalizer_;
  CharMap chars_;
  PieceTrie pieces_;
  int64_t max_chars_;
  int32_t unk_;
  AddedTokenMatcher raw_tokens_, normalized_tokens_;
  std::array<AsciiAction, 256> ascii_;
};

}  // namespace cloze
