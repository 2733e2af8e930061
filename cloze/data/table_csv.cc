#include "cloze/data/table_csv.h"

#include <algorithm>

#include "cloze/base/error.h"

namespace cloze {

CsvRecordReader::State CsvRecordReader::step(State state, char c) {
  switch (state) {
    case State::kFieldStart:
      if (c == '"') {
        quote_line_ = line_;
        return State::kQuoted;
      }
      return c == ',' ? State::kFieldStart : State::kPlain;
    case State::kPlain:
      CLOZE_CHECK(c != '"', ErrorCode::kFormat,
                  "{} line {}: a quote inside a field that does not begin with one; expected the whole field in quotes "
                  "and the quotes inside it doubled",
                  name_, line_);
      return c == ',' ? State::kFieldStart : State::kPlain;
    case State::kQuoted:
      if (c == '\n') ++line_;
      return c == '"' ? State::kAfterQuote : State::kQuoted;
    case State::kAfterQuote:
      if (c == '"') return State::kQuoted;
      if (c == ',') return State::kFieldStart;
      if (c == '\r') return State::kReturnAfterQuote;
      break;
    case State::kReturnAfterQuote:
      break;
  }
  fail(ErrorCode::kFormat,
       "{} line {}: text after a closing quote; expected a comma or the end of the row (quotes inside a quoted field "
       "must be doubled)",
       name_, line_);
}

std::string_view CsvRecordReader::take(size_t end, size_t next_begin) {
  std::string_view record(buffer_.data() + begin_, end - begin_);
  if (record.ends_with('\r')) record.remove_suffix(1);
  begin_ = next_begin;
  return record;
}

/// Drops what was read, then appends a block; false at the end of the stream.
bool CsvRecordReader::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  CLOZE_CHECK(buffer_.size() <= max_record_bytes_, ErrorCode::kFormat,
              "{} line {}: a row longer than {} bytes; is a quote left open? The last quoted field begins on line {}",
              name_, line_number_, max_record_bytes_, quote_line_);
  constexpr size_t kBlockBytes = 1 << 16;
  const size_t held = buffer_.size();
  buffer_.resize(held + kBlockBytes);
  const size_t n = bytes_->read({buffer_.data() + held, kBlockBytes});
  buffer_.resize(held + n);
  ended_ = n == 0;
  return !ended_;
}

std::optional<std::string_view> CsvRecordReader::next() {
  line_number_ = line_;
  State state = State::kFieldStart;
  for (size_t at = begin_;; ++at) {
    while (at == buffer_.size() && !ended_) {
      at -= begin_;
      fill();
    }
    if (at == buffer_.size()) break;
    const char c = buffer_[at];
    if (c == '\n' && state != State::kQuoted) {
      ++line_;
      return take(at, at + 1);
    }
    state = step(state, c);
  }
  CLOZE_CHECK(state != State::kQuoted, ErrorCode::kFormat,
              "{} line {}: a quoted field begins here and never ends; expected a closing quote", name_, quote_line_);
  if (begin_ == buffer_.size()) return std::nullopt;
  return take(buffer_.size(), buffer_.size());
}

bool CsvRecordReader::ready() const {
  if (ended_) return true;
  bool in_quotes = false;  // a doubled quote leaves and enters again
  for (size_t at = begin_; at < buffer_.size(); ++at) {
    if (buffer_[at] == '"') in_quotes = !in_quotes;
    if (buffer_[at] == '\n' && !in_quotes) return true;
  }
  return false;
}

void split_csv_record(std::string_view record, std::string& unquoted, std::vector<std::string_view>& fields) {
  fields.clear();
  unquoted.clear();
  size_t at = 0;
  while (true) {
    if (at < record.size() && record[at] == '"') {
      const size_t first = unquoted.size(), from = at + 1;
      size_t close = record.find('"', from);
      if (close + 1 < record.size() && record[close + 1] == '"') {
        unquoted.reserve(record.size());  // once, before the first view: views must not move
        size_t piece = from;
        while (close + 1 < record.size() && record[close + 1] == '"') {
          unquoted.append(record, piece, close + 1 - piece);
          piece = close + 2;
          close = record.find('"', piece);
        }
        unquoted.append(record, piece, close - piece);
        fields.emplace_back(unquoted.data() + first, unquoted.size() - first);
      } else {
        fields.push_back(record.substr(from, close - from));
      }
      at = close + 1;
    } else {
      const size_t comma = std::min(record.find(',', at), record.size());
      fields.push_back(record.substr(at, comma - at));
      at = comma;
    }
    if (at >= record.size()) return;
    ++at;  // the comma; a comma at the very end opens one more, empty field
    if (at == record.size()) {
      fields.push_back(record.substr(at));
      return;
    }
  }
}

}  // namespace cloze
