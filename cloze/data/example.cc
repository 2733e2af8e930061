#include "cloze/data/example.h"

#include <algorithm>
#include <utility>

#include "cloze/base/error.h"
#include "cloze/base/profile.h"
#include "cloze/data/columns_names.h"

namespace cloze {
namespace {

/// The form of a file: as asked for; as the layout demands; by extension; as the layout would have it.
TableFormat resolve_format(const Path& path, const ExampleOptions& options) {
  if (options.table.format != TableFormat::kByName) return options.table.format;
  const TableFormat by_name = table_format_of(path);
  if (options.columns.layout.empty()) return by_name;
  const TableFormat by_layout = find_layout(options.columns.layout).format;
  return by_layout == TableFormat::kLabelSpace || by_name == TableFormat::kLines ? by_layout : by_name;
}

const Json& json_field(const Row& row, const Column& column, const std::string& file) {
  const auto it = row.object.find(column.name);
  if (it != row.object.end()) return *it;
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.object.items()) keys.push_back(key);
  fail(ErrorCode::kFormat, "{} line {}: expected the key \"{}\", found {}", file, row.line, column.name,
       quoted_list(keys));
}

}  // namespace

std::unique_ptr<ExampleReader> ExampleReader::open(const Path& path, const ExampleOptions& options) {
  TableOptions table = options.table;
  table.format = resolve_format(path, options);
  return std::make_unique<ExampleReader>(TableReader::open(path, table), options.columns);
}

ExampleReader::ExampleReader(std::unique_ptr<TableReader> table, const ColumnOptions& options)
    : table_(std::move(table)), label_need_(options.label_need) {
  const Row* first = table_->format() == TableFormat::kLines ? nullptr : table_->next();
  columns_ = resolve_columns(options, table_->format(), first, table_->name());
  if (first == nullptr) return;
  first_line_ = first->line;
  if (columns_.header == Header::kNone) pending_ = first;
}

void ExampleReader::check_field_count(const Row& row) const {
  if (table_->format() == TableFormat::kJsonl) return;
  const size_t found = row.fields.size();
  const bool fits = found >= columns_.least_fields && found <= columns_.most_fields.value_or(found);
  const char* hint = "";
  if (found > columns_.least_fields && table_->format() == TableFormat::kTsv) {
    hint = "; TSV has no quoting, so that a text cannot hold a tab";
  } else if (found > columns_.least_fields) {
    hint = "; a text with commas must stand in quotes";
  } else if (found == 1 && row.fields[0].empty()) {
    hint = ": an empty line; remove it";
  }
  CLOZE_CHECK(fits, ErrorCode::kFormat, "{} line {}: expected {} fields{}, found {}{}", table_->name(), row.line,
              columns_.most_fields ? fmt::format("{}", columns_.least_fields)
                                   : fmt::format("at least {}", columns_.least_fields),
              first_line_ == row.line ? "" : fmt::format(" as in line {}", first_line_), found, hint);
}

std::string ExampleReader::text_of(const Row& row, const Column& column) const {
  if (table_->format() != TableFormat::kJsonl) return std::string(row.fields[column.index]);
  const Json& value = json_field(row, column, table_->name());
  CLOZE_CHECK(value.is_string(), ErrorCode::kFormat, "{} line {}: expected a string under \"{}\", found {}",
              table_->name(), row.line, column.name, value.type_name());
  return value.get<std::string>();
}

std::string ExampleReader::label_of(const Row& row, const Column& column) const {
  std::string label;
  if (table_->format() != TableFormat::kJsonl) {
    label = row.fields[column.index];
  } else {
    const Json& value = json_field(row, column, table_->name());
    CLOZE_CHECK(value.is_string() || value.is_number() || value.is_boolean(), ErrorCode::kFormat,
                "{} line {}: expected a string, a number or a bool under \"{}\", found {}", table_->name(), row.line,
                column.name, value.type_name());
    label = value.is_string() ? value.get<std::string>() : value.dump();
  }
  if (columns_.label_part == LabelPart::kBeforeColon) label.resize(std::min(label.find(':'), label.size()));
  CLOZE_CHECK(!label.empty() || label_need_ != Need::kRequired, ErrorCode::kFormat,
              "{} line {}: expected a label, found an empty one", table_->name(), row.line);
  return label;
}

std::string ExampleReader::extra_of(const Row& row, const Column& column) const {
  if (table_->format() != TableFormat::kJsonl) return std::string(row.fields[column.index]);
  const Json& value = json_field(row, column, table_->name());
  CLOZE_CHECK(value.is_primitive(), ErrorCode::kFormat,
              "{} line {}: expected a string, a number, a bool or null under \"{}\", found {}", table_->name(),
              row.line, column.name, value.type_name());
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool ExampleReader::next(TextExample& example) {
  const Row* row = pending_ != nullptr ? std::exchange(pending_, nullptr) : table_->next();
  if (row == nullptr) return false;
  check_field_count(*row);
  example.text = text_of(*row, columns_.text);
  example.text_pair.reset();
  if (columns_.text_pair) example.text_pair = text_of(*row, *columns_.text_pair);
  example.label.reset();
  if (columns_.label) example.label = label_of(*row, *columns_.label);
  example.extra.clear();
  for (const Column& column : columns_.extra) example.extra.push_back(extra_of(*row, column));
  example.line = row->line;
  example.replaced = row->replaced;
  ++rows_;
  return true;
}

Examples read_all(const Path& path, const ExampleOptions& options, std::optional<int64_t> limit) {
  const ProfilePhase phase("read");
  const std::unique_ptr<ExampleReader> reader = ExampleReader::open(path, options);
  Examples all;
  TextExample example;
  while ((!limit || reader->rows() < *limit) && reader->next(example)) all.rows.push_back(std::move(example));
  all.columns = reader->columns();
  all.replaced = reader->table().replaced();
  return all;
}

}  // namespace cloze
