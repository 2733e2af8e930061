// Tables as examples: text, maybe a second text, maybe a label.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloze/data/columns.h"
#include "cloze/data/table_reader.h"

namespace cloze {

struct TextExample {
  std::string text;
  std::optional<std::string> text_pair, label;
  std::vector<std::string> extra = {};  ///< of ColumnOptions::extra, as the file has them; a JSON null is empty
  int64_t line = 0;                     ///< 1-based line of the file on which the row begins
  int64_t replaced = 0;                 ///< invalid UTF-8 sequences of the row that became U+FFFD
};

struct ExampleOptions {
  TableOptions table = {};
  ColumnOptions columns = {};
};

/// Reads examples row by row. Texts may be empty; a label may be empty only where it is optional.
///
/// JSONL: text and text pair must be strings; a label may be a string, a number (taken as its decimal text) or a
/// bool ("true", "false"). The columns are those of the first row, and every row must have them. An extra column may be
/// any of these, or null.
class ExampleReader {
 public:
  /// Opens the file and resolves its columns, which reads the first row (not of plain text, whose columns are clear).
  /// A layout decides the form of a file whose extension does not (`table.format` goes before both).
  /// Errors: those of TableReader and resolve_columns().
  static std::unique_ptr<ExampleReader> open(const Path& path, const ExampleOptions& options);

  ExampleReader(std::unique_ptr<TableReader> table, const ColumnOptions& options);

  /// False at the end. Errors, with file and line: those of TableReader::next(); kFormat for a row with too few or too
  /// many fields, a key that is missing, a value of another type, an empty label where one is required.
  bool next(TextExample& example);

  /// True when next() will not block, see TableReader::ready().
  bool ready() const { return pending_ != nullptr || table_->ready(); }

  const Columns& columns() const { return columns_; }
  const TableReader& table() const { return *table_; }
  /// Examples given so far.
  int64_t rows() const { return rows_; }

 private:
  void check_field_count(const Row& row) const;
  std::string text_of(const Row& row, const Column& column) const;
  std::string label_of(const Row& row, const Column& column) const;
  std::string extra_of(const Row& row, const Column& column) const;

  std::unique_ptr<TableReader> table_;
  Columns columns_;
  Need label_need_;
  int64_t first_line_ = 1;
  const Row* pending_ = nullptr;  ///< a first row that is data and not yet given
  int64_t rows_ = 0;
};

struct Examples {
  std::vector<TextExample> rows;
  Columns columns;
  int64_t replaced = 0;  ///< invalid UTF-8 sequences that became U+FFFD
};

/// All examples of a file, or the first `limit`.
Examples read_all(const Path& path, const ExampleOptions& options, std::optional<int64_t> limit = std::nullopt);

}  // namespace cloze
