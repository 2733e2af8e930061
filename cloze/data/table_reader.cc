#include "cloze/data/table_reader.h"

#include <algorithm>
#include <cctype>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

/// Drops a BOM at the start of a stream. It waits for more bytes only while what it has could still become one.
class BomSkipper : public ByteReader {
 public:
  explicit BomSkipper(std::unique_ptr<ByteReader> bytes) : bytes_(std::move(bytes)) {}

  size_t read(std::span<char> out) override {
    constexpr std::string_view kBom = "\xEF\xBB\xBF";
    while (at_start_) {
      char block[kBom.size()];
      const size_t n = bytes_->read({block, kBom.size() - held_.size()});
      held_.append(block, n);
      if (held_ == kBom) held_.clear();
      at_start_ = n > 0 && !held_.empty() && kBom.starts_with(held_);
    }
    if (held_.empty()) return bytes_->read(out);
    const size_t n = std::min(out.size(), held_.size());
    std::copy_n(held_.begin(), n, out.begin());
    held_.erase(0, n);
    return n;
  }

 private:
  std::unique_ptr<ByteReader> bytes_;
  std::string held_;
  bool at_start_ = true;
};

std::variant<LineReader, CsvRecordReader> make_source(std::unique_ptr<ByteReader> bytes, const std::string& name,
                                                      TableFormat format) {
  bytes = std::make_unique<BomSkipper>(std::move(bytes));
  if (format == TableFormat::kCsv) return CsvRecordReader(std::move(bytes), name);
  return LineReader(std::move(bytes), name);
}

void split_at_tabs(std::string_view text, std::vector<std::string_view>& fields) {
  fields.clear();
  size_t at = 0;
  for (size_t tab; (tab = text.find('\t', at)) != std::string_view::npos; at = tab + 1) {
    fields.push_back(text.substr(at, tab - at));
  }
  fields.push_back(text.substr(at));
}

/// The object of one row of JSONL.
Json parse_row(std::string_view text, const std::string& name, int64_t line) {
  CLOZE_CHECK(text.find_first_not_of(" \t") != std::string_view::npos, ErrorCode::kFormat,
              "{} line {}: expected a JSON object, found an empty line; remove it", name, line);
  const std::string where = fmt::format("{} line {}", name, line);
  Json object = parse_json(text, where);
  CLOZE_CHECK(object.is_object(), ErrorCode::kFormat, "{}: expected a JSON object a line, found {}{}", where,
              object.is_array() ? "an array" : object.type_name(),
              object.is_array() ? "; write its items one a line (jq -c '.[]')" : "");
  return object;
}

}  // namespace

TableFormat table_format_of(const Path& path) {
  const auto lower_extension = [](const Path& p) {
    std::string text = p.extension().string();
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  const std::string extension = lower_extension(path.extension() == ".gz" ? path.stem() : path);  // ByteReader's rule
  if (extension == ".tsv") return TableFormat::kTsv;
  if (extension == ".csv") return TableFormat::kCsv;
  if (extension == ".jsonl" || extension == ".json") return TableFormat::kJsonl;
  return TableFormat::kLines;
}

TableFormat parse_table_format(std::string_view word) {
  if (word == "lines") return TableFormat::kLines;
  if (word == "tsv") return TableFormat::kTsv;
  if (word == "csv") return TableFormat::kCsv;
  if (word == "jsonl" || word == "json") return TableFormat::kJsonl;
  fail(ErrorCode::kUsage, "expected the form of a table, lines, tsv, csv or jsonl; found \"{}\"", word);
}

const char* table_format_name(TableFormat format) {
  switch (format) {
    case TableFormat::kByName:
      return "by name";
    case TableFormat::kLines:
      return "lines";
    case TableFormat::kTsv:
      return "tsv";
    case TableFormat::kCsv:
      return "csv";
    case TableFormat::kJsonl:
      return "jsonl";
    case TableFormat::kLabelSpace:
      return "label, space, text";
  }
  return "unknown";
}

std::unique_ptr<TableReader> TableReader::open(const Path& path, const TableOptions& options) {
  TableOptions resolved = options;
  if (resolved.format == TableFormat::kByName) resolved.format = table_format_of(path);
  std::string name = path == "-" ? "standard input" : path.string();
  return std::make_unique<TableReader>(ByteReader::open(path), std::move(name), resolved);
}

TableReader::TableReader(std::unique_ptr<ByteReader> bytes, std::string name, const TableOptions& options)
    : name_(std::move(name)),
      format_(options.format == TableFormat::kByName ? TableFormat::kLines : options.format),
      invalid_utf8_(options.invalid_utf8),
      source_(make_source(std::move(bytes), name_, format_)) {}

const Row* TableReader::next() {
  const std::optional<std::string_view> raw = std::visit([](auto& source) { return source.next(); }, source_);
  if (!raw) return nullptr;
  row_.line = std::visit([](const auto& source) { return source.line_number(); }, source_);
  split(repaired(*raw));
  return &row_;
}

bool TableReader::ready() const {
  return std::visit([](const auto& source) { return source.ready(); }, source_);
}

/// The row as valid UTF-8, by the reader's policy. Delimiters are ASCII, which no invalid subpart contains, so that
/// repairing before splitting gives the same fields as the other way round.
std::string_view TableReader::repaired(std::string_view raw) {
  row_.replaced = 0;
  const size_t bad = find_invalid_utf8(raw);
  if (bad == std::string_view::npos) return raw;
  CLOZE_CHECK(invalid_utf8_ == InvalidUtf8::kReplace, ErrorCode::kFormat,
              "{} line {}: expected UTF-8, found the invalid byte 0x{:02X} at byte offset {} of the row; convert the "
              "file (iconv -f ENCODING -t UTF-8), or have such bytes replaced by U+FFFD (--invalid-utf8 replace)",
              name_, row_.line, static_cast<unsigned char>(raw[bad]), bad);
  repaired_ = replace_invalid_utf8(raw, row_.replaced);
  replaced_ += row_.replaced;
  return repaired_;
}

void TableReader::split(std::string_view text) {
  switch (format_) {
    case TableFormat::kTsv:
      return split_at_tabs(text, row_.fields);
    case TableFormat::kCsv:
      return split_csv_record(text, unquoted_, row_.fields);
    case TableFormat::kJsonl:
      row_.object = parse_row(text, name_, row_.line);
      return;
    case TableFormat::kLabelSpace: {
      const size_t space = text.find(' ');
      CLOZE_CHECK(space != std::string_view::npos, ErrorCode::kFormat,
                  "{} line {}: expected a label, a space and a text, found no space", name_, row_.line);
      row_.fields.assign({text.substr(0, space), text.substr(space + 1)});
      return;
    }
    case TableFormat::kByName:
    case TableFormat::kLines:
      row_.fields.assign(1, text);
      return;
  }
}

}  // namespace cloze
