// Tables: the same rows or the same error however the bytes arrive; what is read is written and read again; CSV is what
// a naive reader takes it for.
#include "fuzz/table_input.h"

namespace cloze::fuzz {
namespace {

/// One row as values, so that rows of two readers can be compared.
struct OwnRow {
  std::vector<std::string> fields;
  Json object;
  int64_t line, replaced;
  bool operator==(const OwnRow&) const = default;
};

struct Outcome {
  std::vector<OwnRow> rows;
  std::vector<std::string> examples;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome read_rows(TableReader& table) {
  Outcome out;
  out.error = error_of([&] {
    while (const Row* row = table.next()) {
      FUZZ_CHECK(row->object.is_object() == (table.format() == TableFormat::kJsonl), "{}", out.rows.size());
      for (const std::string_view field : row->fields)
        FUZZ_CHECK(find_invalid_utf8(field) == std::string_view::npos, "line {}", row->line);
      out.rows.push_back({{row->fields.begin(), row->fields.end()}, row->object, row->line, row->replaced});
    }
    FUZZ_CHECK(table.next() == nullptr, "a row after the end");
  });
  return out;
}

Outcome read_examples(const TableInput& input, size_t step) {
  Outcome out;
  out.error = error_of([&] {
    ExampleReader reader(input.table(step), input.options.columns);
    out.examples.push_back(describe(reader.columns()));
    TextExample example;
    while (reader.next(example))
      out.examples.push_back(fmt::format("{} {} {}\t{}\t{}", example.line, example.replaced, example.text,
                                         example.text_pair.value_or("-"), example.label.value_or("-")));
    FUZZ_CHECK(reader.rows() == static_cast<int64_t>(out.examples.size()) - 1, "{}", reader.rows());
  });
  return out;
}

/// CSV as RFC 4180 has it, from the front to the back in one go. False at the first row that breaks it.
class NaiveCsv {
 public:
  explicit NaiveCsv(std::string_view text) : text_(text) {}

  bool read(std::vector<std::vector<std::string>>& rows) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    while (!text_.empty()) {
      std::vector<std::string> row;
      bool last = false;
      while (!last) {
        row.emplace_back();
        if (!(text_.starts_with('"') ? read_quoted(row.back()) : read_plain(row.back()))) return false;
        last = !text_.starts_with(',');
        if (!last) text_.remove_prefix(1);
      }
      if (!text_.empty()) text_.remove_prefix(1);  // the line end
      rows.push_back(std::move(row));
    }
    return true;
  }

 private:
  /// Up to a comma, a line end or the end of the text; a CR before the latter two belongs to them.
  bool read_plain(std::string& field) {
    field = text_.substr(0, text_.find_first_of(",\n"));
    text_.remove_prefix(field.size());
    if (field.find('"') != std::string::npos) return false;
    if (field.ends_with('\r') && !text_.starts_with(',')) field.pop_back();
    return true;
  }
  /// Up to the closing quote, behind which the field must end; two quotes are one.
  bool read_quoted(std::string& field) {
    while (true) {
      const size_t quote = text_.find('"', 1);
      if (quote == std::string_view::npos) return false;
      field += text_.substr(1, quote - 1);
      text_.remove_prefix(quote + 1);
      if (!text_.starts_with('"')) break;
      field += '"';
    }
    if (text_ == "\r" || text_.starts_with("\r\n")) text_.remove_prefix(1);
    return text_.empty() || text_[0] == ',' || text_[0] == '\n';
  }

  std::string_view text_;
};

void check_csv(std::string_view text, const Outcome& found) {
  std::vector<std::vector<std::string>> expected;
  const bool good = NaiveCsv(text).read(expected);
  FUZZ_CHECK(good == found.error.empty(), "\"{}\"", found.error);
  FUZZ_CHECK(expected.size() == found.rows.size(), "{} rows but {}", expected.size(), found.rows.size());
  for (size_t i = 0; i < expected.size(); ++i) FUZZ_CHECK(expected[i] == found.rows[i].fields, "row {}", i);
}

/// The rows as a file of their form again.
std::string written(const std::vector<OwnRow>& rows, TableFormat format) {
  std::string text = "\xEF\xBB\xBF";  // only this one is dropped, not one of the first field's own
  for (const OwnRow& row : rows) {
    for (size_t i = 0; i < row.fields.size(); ++i) {
      if (i > 0) text += format == TableFormat::kCsv ? ',' : '\t';
      if (format != TableFormat::kCsv) {
        text += row.fields[i];
        continue;
      }
      text += '"';
      for (const char c : row.fields[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
      text += '"';
    }
    text += "\r\n";  // of a field's own CR at the end only this one is dropped
  }
  return text;
}

void run(const TableInput& input) {
  const TableFormat format = input.options.table.format;
  const Outcome rows = read_rows(*input.table()), examples = read_examples(input, SIZE_MAX);
  // Each read costs a block of the reader's buffer: small steps for small inputs.
  const size_t step = 1 + input.bytes.size() / 24;
  const Outcome slow_rows = read_rows(*input.table(step)), slow_examples = read_examples(input, step);
  FUZZ_CHECK(slow_rows == rows, "step {}: \"{}\" but \"{}\"", step, slow_rows.error, rows.error);
  FUZZ_CHECK(slow_examples == examples, "step {}: \"{}\" but \"{}\"", step, slow_examples.error, examples.error);
  if (format == TableFormat::kCsv && find_invalid_utf8(input.bytes) == std::string_view::npos)
    check_csv(input.bytes, rows);
  if (format == TableFormat::kJsonl || format == TableFormat::kLabelSpace) return;
  const std::string text = written(rows.rows, format);
  TableReader table(std::make_unique<MemoryBytes>(text), "written", {.format = format});
  const Outcome again = read_rows(table);
  FUZZ_CHECK(again.error.empty() && again.rows.size() == rows.rows.size(), "{}", again.error);
  for (size_t i = 0; i < again.rows.size(); ++i)
    FUZZ_CHECK(again.rows[i].fields == rows.rows[i].fields, "row {} of {}", i, text);
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run(cloze::fuzz::TableInput({data, size}));
  return 0;
}
