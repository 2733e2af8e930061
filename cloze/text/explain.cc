#include "cloze/text/explain.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/normalizer.h"

namespace cloze {
namespace {

/// Columns that a terminal needs: marks and formats none, East Asian wide characters two.
int columns_of(std::string_view text) {
  int columns = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    const char32_t c = step.code_point;
    const bool none = is_nonspacing_mark(c) || (c >= 0x200B && c <= 0x200F);
    const bool wide = is_chinese_char(c) || is_hangul_syllable(c) || (c >= 0x3000 && c <= 0x30FF) ||
                      (c >= 0xFF01 && c <= 0xFF60) || (c >= 0x1F300 && c <= 0x1FAFF);
    columns += none ? 0 : wide ? 2 : 1;
    at += static_cast<size_t>(step.length_bytes);
  }
  return columns;
}

std::string pad(std::string text, int columns) {
  text.append(static_cast<size_t>(std::max(0, columns - columns_of(text))), ' ');
  return text;
}

/// A character that can be seen: controls, marks and spaces by their number alone.
std::string show(char32_t c) {
  std::string out;
  const bool hidden = c < 0x20 || c == 0x7F || is_text_whitespace(c) || is_removed_by_clean(c) || is_nonspacing_mark(c);
  if (!hidden) append_utf8(out, c);
  return fmt::format("{}{}U+{:04X}", out, hidden ? "" : " ", static_cast<uint32_t>(c));
}

/// A text in quotes, its invisible characters as \u{...}.
std::string quote(std::string_view text) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    const char32_t c = step.code_point;
    if (c != ' ' && (c < 0x20 || c == 0x7F || is_text_whitespace(c) || is_removed_by_clean(c))) {
      out += fmt::format("\\u{{{:X}}}", static_cast<uint32_t>(c));
    } else {
      out.append(text.substr(at, static_cast<size_t>(step.length_bytes)));
    }
    at += static_cast<size_t>(step.length_bytes);
  }
  return out + '"';
}

/// What the normalizer does to one character, or an empty text if nothing.
std::string change_of(char32_t c, const NormalizerOptions& options) {
  if (options.clean_text && is_removed_by_clean(c))
    return c == 0xFFFD ? "dropped: it stands for bytes that were not text"
                       : "dropped: control, format or private character";
  if (options.clean_text && is_text_whitespace(c)) return c == ' ' ? "" : "becomes a space: all whitespace is one";
  if (options.handle_chinese_chars && is_chinese_char(c)) return "stands alone: each Chinese character is a word";
  if (options.strips_accents() && is_nonspacing_mark(c)) return "dropped: an accent (nonspacing mark)";
  std::vector<NormalizedChar> one = {{c, {}}};
  if (options.strips_accents()) strip_accents(one);
  const bool stripped = one.size() != 1 || one[0].code_point != c;
  std::vector<NormalizedChar> lowered = one;
  if (options.lowercase) lowercase(lowered);
  std::string result;
  bool cased = lowered.size() != one.size();
  for (size_t i = 0; i < lowered.size(); ++i) {
    append_utf8(result, lowered[i].code_point);
    cased = cased || lowered[i].code_point != one[i].code_point;
  }
  if (!stripped && !cased) return "";
  if (is_hangul_syllable(c)) return "decomposed into its letters (jamo)";
  return fmt::format("becomes {}: {}{}{}", result, stripped ? "decomposed, accents dropped" : "",
                     stripped && cased ? ", " : "", cased ? "lower case" : "");
}

class Explanation {
 public:
  Explanation(const Tokenizer& tokenizer, std::string_view text)
      : tokenizer_(tokenizer), text_(replace_invalid_utf8(text, replaced_)), encoding_(tokenizer.encode(text)) {}

  std::string write() {
    const NormalizerOptions& options = tokenizer_.options().normalizer;
    line("text", quote(text_));
    line("", fmt::format("{} characters, {} bytes", count_code_points(text_), text_.size()));
    if (replaced_ > 0) line("", fmt::format("{} invalid UTF-8 sequence(s) replaced by U+FFFD", replaced_));
    line("rules",
         fmt::format("lower case {}, accents {}, control characters {}, Chinese characters {}",
                     options.lowercase ? "yes" : "no", options.strips_accents() ? "stripped" : "kept",
                     options.clean_text ? "dropped" : "kept", options.handle_chinese_chars ? "apart" : "as others"));
    find_added();
    write_changes(options);
    line("cleaned", quote(cleaned(options)));
    write_words();
    write_ids();
    return std::move(out_);
  }

 private:
  void line(std::string_view label, std::string_view content) { out_ += fmt::format("{:<9}{}\n", label, content); }

  bool is_added(size_t token) const {
    for (const AddedToken& added : tokenizer_.added_tokens())
      if (added.id == encoding_.ids[token] && encoding_.words[token] >= 0 && !added.normalized &&
          source(token).find(added.content) != std::string_view::npos)
        return true;
    return false;
  }

  /// Where in the text (bytes) added tokens stand: the normalizer does not see them.
  void find_added() {
    for (size_t i = 0; i < encoding_.ids.size(); ++i)
      if (is_added(i)) added_.push_back(encoding_.byte_offsets[i]);
  }

  std::string cleaned(const NormalizerOptions& options) const {
    std::string out;
    size_t done = 0;
    for (const TextSpan& span : added_) {
      const size_t end = static_cast<size_t>(span.end), begin = std::max(done, static_cast<size_t>(span.begin));
      if (begin >= end) continue;  // strips can make neighbours overlap
      out += normalize(std::string_view(text_).substr(done, begin - done), options);
      out += std::string_view(text_).substr(begin, end - begin);
      done = end;
    }
    return out + normalize(std::string_view(text_).substr(done), options);
  }

  void write_changes(const NormalizerOptions& options) {
    std::vector<std::pair<std::string, std::string>> rows;  // character and place; what happens
    int32_t point = 0;
    size_t next_added = 0;
    for (size_t at = 0; at < text_.size(); ++point) {
      while (next_added < added_.size() && static_cast<size_t>(added_[next_added].end) <= at) ++next_added;
      const bool inside = next_added < added_.size() && static_cast<size_t>(added_[next_added].begin) <= at;
      const Utf8Step step = decode_utf8(text_, at);
      const std::string change = inside ? "" : change_of(step.code_point, options);
      if (!change.empty()) rows.emplace_back(fmt::format("at {:<5}{}", point, show(step.code_point)), change);
      at += static_cast<size_t>(step.length_bytes);
    }
    int width = 0;
    for (const auto& row : rows) width = std::max(width, columns_of(row.first));
    const char* label = "changes";
    if (rows.empty()) line(label, "none");
    for (const auto& row : rows) {
      line(label, pad(row.first, width + 2) + row.second);
      label = "";
    }
  }

  std::string_view source(size_t token) const {
    const TextSpan& span = encoding_.byte_offsets[token];
    return std::string_view(text_).substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin));
  }

  /// One line a word: its place, its source, its pieces.
  void write_words() {
    struct Row {
      std::string place, word, pieces;
    };
    std::vector<Row> rows;
    int place_width = 0, word_width = 0;
    for (size_t i = 0; i < encoding_.ids.size();) {
      if (encoding_.words[i] < 0) {
        ++i;
        continue;
      }
      size_t end = i;
      std::string pieces;
      for (; end < encoding_.ids.size() && encoding_.words[end] == encoding_.words[i]; ++end)
        pieces +=
            fmt::format("{}{} ({})", end > i ? "  " : "", tokenizer_.token(encoding_.ids[end]), encoding_.ids[end]);
      const TextSpan span{encoding_.offsets[i].begin, encoding_.offsets[end - 1].end};
      const size_t begin_byte = static_cast<size_t>(encoding_.byte_offsets[i].begin);
      const size_t end_byte = static_cast<size_t>(encoding_.byte_offsets[end - 1].end);
      rows.push_back({fmt::format("{}-{}", span.begin, span.end),
                      quote(std::string_view(text_).substr(begin_byte, end_byte - begin_byte)), pieces + note(i)});
      place_width = std::max(place_width, columns_of(rows.back().place));
      word_width = std::max(word_width, columns_of(rows.back().word));
      i = end;
    }
    const char* label = "words";
    if (rows.empty()) line(label, "none");
    for (const Row& row : rows) {
      line(label, pad(row.place, place_width + 2) + pad(row.word, word_width + 2) + row.pieces);
      label = "";
    }
  }

  /// Why the word that begins with this token has no pieces of its own.
  std::string note(size_t token) const {
    const int32_t id = encoding_.ids[token];
    if (is_added(token)) return "  <- an added token, found before all other steps";
    if (id != tokenizer_.vocabulary().unk_id()) return "";
    const int64_t limit = tokenizer_.options().max_chars_per_word;
    const bool too_long = count_code_points(normalize(source(token), tokenizer_.options().normalizer)) > limit;
    return too_long ? fmt::format("  <- longer than {} characters", limit)
                    : std::string("  <- unknown: no pieces of the vocabulary make it up");
  }

  void write_ids() {
    std::string ids;
    for (const int32_t id : encoding_.ids) ids += fmt::format("{}{}", ids.empty() ? "" : " ", id);
    line("ids", ids);
    line("",
         fmt::format("{} tokens: {} first, then the pieces, {} last; A-B are places in the text, in characters",
                     encoding_.ids.size(), tokenizer_.vocabulary().names().cls, tokenizer_.vocabulary().names().sep));
  }

  const Tokenizer& tokenizer_;
  int64_t replaced_ = 0;
  std::string text_, out_;
  std::vector<TextSpan> added_;
  Encoding encoding_;
};

}  // namespace

std::string explain_tokenization(const Tokenizer& tokenizer, std::string_view text) {
  return Explanation(tokenizer, text).write();
}

}  // namespace cloze
