// Tables row by row, from a file, a `.gz` file or standard input, in constant memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "cloze/base/file.h"
#include "cloze/data/row.h"
#include "cloze/data/table_csv.h"

namespace cloze {

struct TableOptions {
  TableFormat format = TableFormat::kByName;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kRefuse;
};

/// The form that a file's name stands for, a last `.gz` aside: `.tsv`, `.csv`, `.jsonl` and `.json` in any case of
/// letters; anything else, standard input ("-") among it, is a text a line.
TableFormat table_format_of(const Path& path);

/// The form of a word: "lines", "tsv", "csv", "jsonl" (or "json"). Errors: kUsage.
TableFormat parse_table_format(std::string_view word);
const char* table_format_name(TableFormat format);

/// Reads rows. All forms: a BOM at the start of the stream is dropped; rows end at '\n' and one '\r' before it is
/// dropped; an empty line is a row (of one empty field; in JSONL it is an error, for it holds no object). Whether all
/// rows have the same number of fields is for the caller to check, as is which of them is a header.
///
/// UTF-8 is checked over the whole row, also in columns that nobody will use.
///
/// After an error the reader is of no further use.
class TableReader {
 public:
  /// Errors: kNotFound, kIo.
  static std::unique_ptr<TableReader> open(const Path& path, const TableOptions& options = {});

  /// Reads from `bytes`, already unpacked; `name` stands for the file in errors. kByName means a text a line.
  TableReader(std::unique_ptr<ByteReader> bytes, std::string name, const TableOptions& options = {});

  /// The next row, valid until the next call; nullptr at the end.
  /// Errors, with file and line: kFormat (invalid UTF-8, broken CSV or JSON, a row of JSONL that is no object),
  /// kIo while reading.
  const Row* next();

  /// True when next() will not block. May be false too early (at the edge of a block, or at the end of the stream):
  /// the caller flushes what it has and calls next() all the same.
  bool ready() const;

  /// Never kByName.
  TableFormat format() const { return format_; }
  /// The file in messages: its path, or "standard input".
  const std::string& name() const { return name_; }
  /// Invalid UTF-8 sequences replaced so far.
  int64_t replaced() const { return replaced_; }

 private:
  std::string_view repaired(std::string_view raw);
  void split(std::string_view text);

  std::string name_;
  TableFormat format_;
  InvalidUtf8 invalid_utf8_;
  std::variant<LineReader, CsvRecordReader> source_;
  std::string repaired_, unquoted_;
  Row row_;
  int64_t replaced_ = 0;
};

}  // namespace cloze
