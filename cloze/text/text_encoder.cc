#include "cloze/text/text_encoder.h"

#include <algorithm>

#include "cloze/text/char_class.h"
#include "cloze/text/piece_sinks.h"
#include "cloze/text/utf8_step.h"

namespace cloze {

/// The word that is being read: its state in the automaton, its length, and where its pieces begin in the sink.
template <class Sink>
class TextEncoder::Word {
 public:
  Word(const TextEncoder& encoder, Sink& sink)
      : encoder_(encoder), sink_(sink), node_(encoder.pieces_.start()), mark_(sink.mark()) {}

  /// One character of the word, as UTF-8.
  void put(std::string_view bytes, const SourceSpan& source) {
    ++chars_;
    for (const char b : bytes) node_ = encoder_.pieces_.advance(node_, static_cast<uint8_t>(b), emit());
    sink_.source(bytes.size(), source);
  }
  /// All characters of the word that follow at `at` as ASCII; returns where they end.
  size_t put_ascii(std::string_view text, size_t at, const SourceSpan& source) {
    const size_t begin = at;
    uint32_t node = node_;
    const AsciiAction* action = &encoder_.ascii_[static_cast<uint8_t>(text[at])];
    do {
      node = encoder_.pieces_.advance(node, action->byte, emit());
      if (++at == text.size()) break;
      action = &encoder_.ascii_[static_cast<uint8_t>(text[at])];
    } while (action->kind == CharKind::kSame);
    node_ = node;
    chars_ += static_cast<int64_t>(at - begin);
    sink_.ascii_source(source, at - begin);
    return at;
  }
  /// Ends the word, if there is one.
  void end() {
    if (chars_ == 0) return;
    if (chars_ <= encoder_.max_chars_ && encoder_.pieces_.finish(node_, emit())) {
      sink_.end_word(mark_, encoder_.pieces_);
    } else {
      sink_.rollback(mark_);
      sink_.piece(encoder_.unk_);
      sink_.end_unknown_word();
    }
    restart();
  }
  /// A character that is a word of its own.
  void put_alone(std::string_view bytes, const SourceSpan& source) {
    end();
    put(bytes, source);
    end();
  }
  void put_alone_ascii(int32_t id, const SourceSpan& source) {
    end();
    sink_.whole(id, source);
    restart();
  }

 private:
  auto emit() {
    return [this](int32_t id) { sink_.piece(id); };
  }
  void restart() {
    node_ = encoder_.pieces_.start();
    chars_ = 0;
    mark_ = sink_.mark();
  }

  const TextEncoder& encoder_;
  Sink& sink_;
  uint32_t node_;
  int64_t chars_ = 0;
  size_t mark_;
};

/// The tokens that are found in the raw text (`normalized` false), or those found after the normalizer.
AddedTokenMatcher TextEncoder::make_matcher(const Settings& settings, Stage stage) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> patterns;
  for (const AddedToken& token : settings.added_tokens) {
    if (token.normalized != (stage == Stage::kNormalized)) continue;
    tokens.push_back(token);
    patterns.push_back(token.normalized ? normalize(token.content, settings.normalizer) : token.content);
  }
  return AddedTokenMatcher(std::move(tokens), patterns);
}

TextEncoder::TextEncoder(const Vocabulary& vocabulary, const Settings& settings)
    : normalizer_(settings.normalizer),
      chars_(settings.normalizer),
      pieces_(vocabulary, settings.prefix, settings.max_chars_per_word),
      max_chars_(settings.max_chars_per_word),
      unk_(vocabulary.unk_id()),
      raw_tokens_(make_matcher(settings, Stage::kRaw)),
      normalized_tokens_(make_matcher(settings, Stage::kNormalized)) {
  for (unsigned c = 0; c < 256; ++c) {
    ascii_[c] = {CharKind::kComplex, 0, 0};
    if (c >= 0x80) continue;
    const CharAction action = chars_.at(c);
    const bool mapped = action.kind == CharKind::kWord;  // ASCII becomes ASCII: lower case
    ascii_[c].kind = mapped ? CharKind::kSame : action.kind;
    ascii_[c].byte = static_cast<uint8_t>(mapped ? action.code_point : c);
    if (action.kind != CharKind::kAloneSame) continue;
    std::vector<int32_t> id;
    IdSink sink(id);
    const char byte = static_cast<char>(c);
    Word<IdSink>(*this, sink).put_alone({&byte, 1}, {});
    ascii_[c].lone_id = id.at(0);
  }
}

/// One code point that is not ASCII, through the map.
template <class Sink>
TextEncoder::Outcome TextEncoder::put_character(char32_t c, std::string_view bytes, const SourceSpan& source,
                                                Word<Sink>& word) const {
  const CharAction action = chars_.at(c);
  switch (action.kind) {
    case CharKind::kSame:
      word.put(bytes, source);
      break;
    case CharKind::kWord:
      word.put(ShortText(action.code_point).view(), source);
      break;
    case CharKind::kWords: {
      const std::string& text = chars_.sequence(action);
      for (size_t at = 0; at < text.size();) {
        const size_t length = static_cast<size_t>(decode_step(text, at).length_bytes);
        word.put(std::string_view(text).substr(at, length), source);
        at += length;
      }
      break;
    }
    case CharKind::kHangul: {
      const char32_t syllable = c - 0xAC00;
      word.put(ShortText(0x1100 + syllable / 588).view(), source);
      word.put(ShortText(0x1161 + syllable % 588 / 28).view(), source);
      if (syllable % 28 != 0) word.put(ShortText(0x11A7 + syllable % 28).view(), source);
      break;
    }
    case CharKind::kAloneSame:
      word.put_alone(bytes, source);
      break;
    case CharKind::kAlone:
      word.put_alone(ShortText(action.code_point).view(), source);
      break;
    case CharKind::kDrop:
      break;
    case CharKind::kSpace:
      word.end();
      break;
    case CharKind::kComplex:
      return Outcome::kNeedsExact;
  }
  return Outcome::kDone;
}

/// `at` is where `text` stands in the whole text (its begin).
template <class Sink>
TextEncoder::Outcome TextEncoder::encode_fast(std::string_view text, SourceSpan at, Sink& sink) const {
  Word<Sink> word(*this, sink);
  int32_t point = at.point_begin;
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const int32_t byte = at.byte_begin + static_cast<int32_t>(i);
    const AsciiAction& action = ascii_[lead];
    if (action.kind == CharKind::kSame) {
      const size_t end = word.put_ascii(text, i, {byte, byte + 1, point, point + 1});
      point += static_cast<int32_t>(end - i);
      i = end;
      continue;
    }
    if (action.kind == CharKind::kSpace) {
      word.end();
    } else if (action.kind == CharKind::kAloneSame) {
      word.put_alone_ascii(action.lone_id, {byte, byte + 1, point, point + 1});
    } else if (action.kind == CharKind::kComplex) {
      const Utf8Step step = decode_step(text, i);
      if (!step.valid) return Outcome::kInvalid;
      const size_t length = static_cast<size_t>(step.length_bytes);
      const SourceSpan source = {byte, byte + step.length_bytes, point, point + 1};
      const Outcome outcome = put_character(step.code_point, text.substr(i, length), source, word);
      if (outcome != Outcome::kDone) return outcome;
      i += length - 1;
    }
    ++i;
    ++point;
  }
  word.end();
  return Outcome::kDone;
}

/// The words of normalized characters.
template <class Sink>
void TextEncoder::encode_normalized(const NormalizedChar* begin, const NormalizedChar* end, Sink& sink) const {
  Word<Sink> word(*this, sink);
  for (const NormalizedChar* c = begin; c != end; ++c) {
    if (is_text_whitespace(c->code_point)) {
      word.end();
    } else if (is_text_punctuation(c->code_point)) {
      word.put_alone(ShortText(c->code_point).view(), c->source);
    } else {
      word.put(ShortText(c->code_point).view(), c->source);
    }
  }
  word.end();
}

template <class Sink>
TextEncoder::Outcome TextEncoder::encode_exact(std::string_view text, SourceSpan at, Sink& sink) const {
  std::vector<NormalizedChar> chars;
  if (!decode_text(text, at.byte_begin, at.point_begin, chars)) return Outcome::kInvalid;
  normalize(chars, normalizer_);
  if (normalized_tokens_.empty()) {
    encode_normalized(chars.data(), chars.data() + chars.size(), sink);
    return Outcome::kDone;
  }
  std::string normalized;
  std::vector<size_t> char_at;  // by byte of `normalized`
  for (size_t i = 0; i < chars.size(); ++i) {
    append_utf8(normalized, chars[i].code_point);
    char_at.resize(normalized.size(), i);
  }
  char_at.push_back(chars.size());
  normalized_tokens_.split(normalized, [&](const AddedTokenMatcher::Part& part) {
    const NormalizedChar* const first = chars.data() + char_at[part.begin];
    const NormalizedChar* const last = chars.data() + char_at[part.end];
    if (!part.token) return encode_normalized(first, last, sink);
    const SourceSpan &a = first->source, &b = (last - 1)->source;
    sink.whole(part.token->id, {a.byte_begin, b.byte_end, a.point_begin, b.point_end});
  });
  return Outcome::kDone;
}

template <class Sink>
bool TextEncoder::encode(std::string_view text, Sink& sink) const {
  const size_t mark = sink.mark();
  bool valid = true;
  size_t counted_bytes = 0;  // how far `points` has counted
  int32_t points = 0;
  raw_tokens_.split(text, [&](const AddedTokenMatcher::Part& part) {
    if (!valid) return;
    if constexpr (Sink::kSources) {
      if (part.begin < counted_bytes) {
        points -= static_cast<int32_t>(count_code_points(text.substr(part.begin, counted_bytes - part.begin)));
      } else {
        points += static_cast<int32_t>(count_code_points(text.substr(counted_bytes, part.begin - counted_bytes)));
      }
      counted_bytes = part.begin;
    }
    const std::string_view inside = text.substr(part.begin, part.end - part.begin);
    const int32_t byte = static_cast<int32_t>(part.begin);
    if (part.token) {
      const int32_t length = Sink::kSources ? static_cast<int32_t>(count_code_points(inside)) : 0;
      sink.whole(part.token->id, {byte, static_cast<int32_t>(part.end), points, points + length});
      return;
    }
    const SourceSpan at = {byte, byte, points, points};
    const size_t before = sink.mark();
    Outcome outcome = normalized_tokens_.empty() ? encode_fast(inside, at, sink) : Outcome::kNeedsExact;
    if (outcome == Outcome::kNeedsExact) {
      sink.abandon(before);
      outcome = encode_exact(inside, at, sink);
    }
    valid = outcome == Outcome::kDone;
  });
  if (!valid) sink.abandon(mark);
  return valid;
}

bool TextEncoder::append_ids(std::string_view text, std::vector<int32_t>& out) const {
  IdSink sink(out);
  return encode(text, sink);
}

bool TextEncoder::append_pieces(std::string_view text, PieceList& out) const {
  PieceSink sink(out, max_chars_);
  return encode(text, sink);
}

}  // namespace cloze
