// The tokenizer as an executable specification: plain, slow, one step after another, with lists for everything. It
// knows nothing of CharMap, tries and sinks; it shares with the library only the properties of single characters, the
// repair of broken UTF-8 and the exact normalizer.
//
//   text ─ repair ─▶ characters ─ raw added tokens ─▶ parts ─ normalize ─▶ ─ normalized added tokens ─▶ parts
//        ─ spaces, punctuation ─▶ words ─ greedy longest match ─▶ pieces ─ truncate, [CLS] … [SEP] ─▶ Encoding
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/normalizer.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

using NaiveText = std::vector<NormalizedChar>;

struct NaivePiece {
  int32_t id;
  SourceSpan source;
  int32_t word = 0;
};

/// Where a run of characters (not empty) comes from: from the first one's source to the last one's.
inline SourceSpan naive_source(const NaiveText& text, size_t begin, size_t end) {
  const SourceSpan &a = text[begin].source, &b = text[end - 1].source;
  return {a.byte_begin, b.byte_end, a.point_begin, b.point_end};
}

/// Greedy longest match first, trying every length. A word that is too long, or of which a part is in no piece, is one
/// unknown.
inline std::vector<NaivePiece> naive_pieces(const NaiveText& word, const Vocabulary& vocabulary,
                                            const TokenizerOptions& options) {
  const std::vector<NaivePiece> unknown = {{vocabulary.unk_id(), naive_source(word, 0, word.size())}};
  if (static_cast<int64_t>(word.size()) > options.max_chars_per_word) return unknown;
  std::vector<NaivePiece> pieces;
  for (size_t begin = 0; begin < word.size();) {
    std::string piece = begin == 0 ? "" : options.continuing_prefix;
    std::vector<size_t> lengths;  // of `piece` before each character
    for (size_t i = begin; i < word.size(); ++i) {
      lengths.push_back(piece.size());
      append_utf8(piece, word[i].code_point);
    }
    size_t end = word.size();
    for (; end > begin; piece.resize(lengths[--end - begin])) {
      if (const auto id = vocabulary.id(piece)) {
        pieces.push_back({*id, naive_source(word, begin, end)});
        break;
      }
    }
    if (end == begin) return unknown;
    begin = end;
  }
  return pieces;
}

/// Words of normalized text: whitespace parts them, punctuation stands alone.
inline std::vector<NaiveText> naive_words(const NaiveText& text) {
  std::vector<NaiveText> words(1);
  for (const NormalizedChar& c : text) {
    const bool space = is_text_whitespace(c.code_point), alone = is_text_punctuation(c.code_point);
    if (space || alone) words.emplace_back();
    if (!space) words.back().push_back(c);
    if (alone) words.emplace_back();
  }
  std::erase_if(words, [](const NaiveText& word) { return word.empty(); });
  return words;
}

/// An added token and what it looks like in the text.
struct NaiveToken {
  AddedToken token;
  std::u32string pattern;
};

/// A part of a text: an added token, or (token == nullptr) what stands between two of them.
struct NaivePart {
  size_t begin, end;
  const AddedToken* token;
};

inline NaiveText naive_part(const NaiveText& text, const NaivePart& part) {
  return {text.begin() + static_cast<std::ptrdiff_t>(part.begin), text.begin() + static_cast<std::ptrdiff_t>(part.end)};
}

/// The token whose pattern stands at `at`: the longest, of equal ones the first.
inline const NaiveToken* naive_token_at(const NaiveText& text, size_t at, const std::vector<NaiveToken>& tokens) {
  const NaiveToken* found = nullptr;
  for (const NaiveToken& token : tokens) {
    const size_t length = token.pattern.size();
    if (length == 0 || at + length > text.size() || (found && found->pattern.size() >= length)) continue;
    size_t same = 0;
    while (same < length && text[at + same].code_point == token.pattern[same]) ++same;
    if (same == length) found = &token;
  }
  return found;
}

/// Cuts a text at its added tokens, from left to right. The search goes on behind the pattern, whatever whitespace the
/// token took along. Only a token with lstrip minds that the one before has taken its whitespace; without, their
/// sources overlap.
inline std::vector<NaivePart> naive_split(const NaiveText& text, const std::vector<NaiveToken>& tokens) {
  const auto is_space = [&](size_t i) { return is_text_whitespace(text[i].code_point); };
  const auto is_letter = [&](size_t i) { return i < text.size() && is_word_character(text[i].code_point); };
  std::vector<NaivePart> parts;
  size_t done = 0;  // where the last token ended
  for (size_t at = 0; at < text.size();) {
    const NaiveToken* found = naive_token_at(text, at, tokens);
    if (!found) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + found->pattern.size();
    const bool touched = (begin > 0 && is_letter(begin - 1)) || is_letter(end);
    at = end;
    if (found->token.single_word && touched) continue;
    if (found->token.lstrip) {
      while (begin > done && is_space(begin - 1)) --begin;
      begin = std::max(begin, done);
    }
    if (found->token.rstrip)
      while (end < text.size() && is_space(end)) ++end;
    if (begin >= end) continue;  // the last token's rstrip has taken all of it
    if (done < begin) parts.push_back({done, begin, nullptr});
    parts.push_back({begin, end, &found->token});
    done = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), nullptr});
  return parts;
}

/// How many tokens of each text stay, found by dropping one after another; nullopt where that is an error.
inline std::optional<std::pair<size_t, size_t>> naive_truncation(size_t first, std::optional<size_t> second,
                                                                 int64_t special, const Truncation& truncation) {
  size_t a = first, b = second.value_or(0);
  const int64_t room = truncation.max_length - special;
  const auto fits = [&] { return static_cast<int64_t>(a + b) <= room; };
  if (truncation.strategy == TruncationStrategy::kNone) return std::pair(a, b);
  if (room < 0) return std::nullopt;
  if (fits()) return std::pair(a, b);
  if (room == 0) return std::pair<size_t, size_t>(0, 0);
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    // Of two equally long rests, the one of the text that was shorter loses first.
    while (!fits()) --(a > b || (a == b && second && first <= *second) ? a : b);
    return std::pair(a, b);
  }
  // Cutting one text alone may not empty it.
  size_t& target = truncation.strategy == TruncationStrategy::kOnlyFirst ? a : b;
  while (!fits() && target > 0) --target;
  if (target == 0) return std::nullopt;
  return std::pair(a, b);
}

class NaiveTokenizer {
 public:
  /// Knows what `tokenizer` was made from: vocabulary and options.
  explicit NaiveTokenizer(Tokenizer tokenizer)
      : tokenizer_(std::move(tokenizer)), raw_(tokens(Stage::kRaw)), normalized_(tokens(Stage::kNormalized)) {}

  /// A whole Encoding of one text or two of any bytes; nullopt where encode() must refuse the truncation.
  std::optional<Encoding> encode(std::string_view first, std::optional<std::string_view> second,
                                 const EncodeOptions& options) const {
    const bool add = options.special_tokens == SpecialTokens::kAdd;
    Encoding out;
    const auto pieces_of = [&](std::string_view text) {
      return pieces(replace_invalid_utf8(text, out.counts.replaced_sequences));
    };
    const std::vector<NaivePiece> a = pieces_of(first), b = second ? pieces_of(*second) : std::vector<NaivePiece>();
    const int64_t special = (second ? 3 : 2) * (add ? 1 : 0);
    const auto kept =
        naive_truncation(a.size(), second ? std::optional(b.size()) : std::nullopt, special, options.truncation);
    if (!kept) return std::nullopt;
    out.counts.dropped_tokens = static_cast<int64_t>(a.size() + b.size() - kept->first - kept->second);
    const int32_t cls = tokenizer_.vocabulary().cls_id(), sep = tokenizer_.vocabulary().sep_id();
    if (add) put({cls, {}, -1}, 0, out);
    put_kept(a, kept->first, options.truncation.side, 0, out);
    if (add) put({sep, {}, -1}, 0, out);
    if (!second) return out;
    put_kept(b, kept->second, options.truncation.side, 1, out);
    if (add) put({sep, {}, -1}, 1, out);
    return out;
  }

  /// Ids of one text with the special tokens, without truncation.
  std::vector<int32_t> ids(std::string_view text) const { return encode(text, std::nullopt, {})->ids; }

 private:
  enum class Stage { kRaw, kNormalized };

  /// The added tokens that are looked for before or after the normalizer; special ones go first.
  std::vector<NaiveToken> tokens(Stage stage) const {
    std::vector<AddedToken> list = tokenizer_.options().added_tokens.value_or(tokenizer_.added_tokens());
    std::stable_partition(list.begin(), list.end(), [](const AddedToken& token) { return token.special; });
    std::vector<NaiveToken> out;
    for (AddedToken& token : list) {
      if (token.normalized != (stage == Stage::kNormalized) || token.content.empty()) continue;
      for (const AddedToken& resolved : tokenizer_.added_tokens())
        if (resolved.content == token.content) token.id = resolved.id;
      NaiveText chars;
      decode_text(token.content, 0, 0, chars);
      if (token.normalized) normalize(chars, tokenizer_.options().normalizer);
      std::u32string pattern;
      for (const NormalizedChar& c : chars) pattern += c.code_point;
      out.push_back({token, pattern});
    }
    return out;
  }

  /// The pieces of a text that is valid UTF-8, words numbered from 0.
  std::vector<NaivePiece> pieces(std::string_view text) const {
    NaiveText chars;
    decode_text(text, 0, 0, chars);
    std::vector<NaivePiece> out;
    int32_t words = 0;
    const auto put_token = [&](const NaiveText& from, const NaivePart& part) {
      out.push_back({part.token->id, naive_source(from, part.begin, part.end), words++});
    };
    for (const NaivePart& outer : naive_split(chars, raw_)) {
      if (outer.token) {
        put_token(chars, outer);
        continue;
      }
      NaiveText inside = naive_part(chars, outer);
      normalize(inside, tokenizer_.options().normalizer);
      for (const NaivePart& inner : naive_split(inside, normalized_)) {
        if (inner.token) {
          put_token(inside, inner);
          continue;
        }
        for (const NaiveText& word : naive_words(naive_part(inside, inner))) {
          for (NaivePiece piece : naive_pieces(word, tokenizer_.vocabulary(), tokenizer_.options())) {
            piece.word = words;
            out.push_back(piece);
          }
          ++words;
        }
      }
    }
    return out;
  }

  static void put(const NaivePiece& piece, int32_t segment, Encoding& out) {
    const SourceSpan& from = piece.source;
    out.ids.push_back(piece.id);
    out.segments.push_back(segment);
    out.offsets.push_back({from.point_begin, from.point_end});
    out.byte_offsets.push_back({from.byte_begin, from.byte_end});
    out.words.push_back(piece.word);
  }
  static void put_kept(const std::vector<NaivePiece>& pieces, size_t keep, TruncationSide side, int32_t segment,
                       Encoding& out) {
    const size_t begin = side == TruncationSide::kRight ? 0 : pieces.size() - keep;
    for (size_t i = begin; i < begin + keep; ++i) put(pieces[i], segment, out);
  }

  Tokenizer tokenizer_;
  std::vector<NaiveToken> raw_, normalized_;
};

}  // namespace cloze
