// CSV by RFC 4180: records cut from a stream of bytes, and a record cut into fields.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

/// Cuts a stream into CSV records. They end at '\n' outside quotes; one '\r' before it is dropped. A last record
/// without '\n' is a record if it is not empty. Memory: one record and one block.
///
/// Stricter than most readers where being lenient would misread: a quote inside an unquoted field, text after a closing
/// quote, and a quote that never closes are errors (kFormat) that name the line; so is a record longer than
/// `max_record_bytes`, which an unclosed quote in a huge file would otherwise become.
class CsvRecordReader {
 public:
  static constexpr size_t kMaxRecordBytes = size_t{1} << 28;

  /// `name` stands for the file in errors.
  CsvRecordReader(std::unique_ptr<ByteReader> bytes, std::string name, size_t max_record_bytes = kMaxRecordBytes)
      : bytes_(std::move(bytes)), name_(std::move(name)), max_record_bytes_(max_record_bytes) {}

  /// The next record as it stands in the file, without its line end; valid until the next call. nullopt at the end.
  std::optional<std::string_view> next();
  /// 1-based number of the line on which the record that next() returned last begins.
  int64_t line_number() const { return line_number_; }
  /// True when next() will not block: a whole record stands in the buffer.
  bool ready() const;

 private:
  enum class State { kFieldStart, kPlain, kQuoted, kAfterQuote, kReturnAfterQuote };
  State step(State state, char c);
  std::string_view take(size_t end, size_t next_begin);
  bool fill();

  std::unique_ptr<ByteReader> bytes_;
  std::string name_, buffer_;
  size_t max_record_bytes_;
  size_t begin_ = 0;
  int64_t line_number_ = 0;  ///< of the current record
  int64_t line_ = 1;         ///< where the scan stands
  int64_t quote_line_ = 0;   ///< where the last quoted field began
  bool ended_ = false;
};

/// Cuts one well-formed record (as CsvRecordReader gives it) into fields. Fields with doubled quotes are unquoted into
/// `unquoted`; the others are views of `record`.
void split_csv_record(std::string_view record, std::string& unquoted, std::vector<std::string_view>& fields);

}  // namespace cloze
