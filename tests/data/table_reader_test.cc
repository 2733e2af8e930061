#include "cloze/data/table_reader.h"

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using test::SlowBytes;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Rows = std::vector<std::vector<std::string>>;

/// All rows of `content`, read `step` bytes at a time, which must not change anything.
Rows rows_of(std::string_view content, TableFormat format, size_t step = 1 << 20,
             InvalidUtf8 invalid = InvalidUtf8::kRefuse) {
  TableReader reader(std::make_unique<SlowBytes>(std::string(content), step), "data",
                     {.format = format, .invalid_utf8 = invalid});
  Rows rows;
  while (const Row* row = reader.next()) rows.emplace_back(row->fields.begin(), row->fields.end());
  return rows;
}

std::string csv_error(std::string_view content) {
  return error_of([&] { rows_of(content, TableFormat::kCsv); });
}

TEST(TableFormatTest, GoesByExtension) {
  EXPECT_EQ(table_format_of("a/b.tsv"), TableFormat::kTsv);
  EXPECT_EQ(table_format_of("b.TSV.gz"), TableFormat::kTsv);
  EXPECT_EQ(table_format_of("b.csv"), TableFormat::kCsv);
  EXPECT_EQ(table_format_of("b.jsonl.gz"), TableFormat::kJsonl);
  EXPECT_EQ(table_format_of("b.json"), TableFormat::kJsonl);
  EXPECT_EQ(table_format_of("b.txt"), TableFormat::kLines);
  EXPECT_EQ(table_format_of("tsv"), TableFormat::kLines);
  EXPECT_EQ(table_format_of("-"), TableFormat::kLines);
}

TEST(TableFormatTest, WordsAndTheirErrors) {
  EXPECT_EQ(parse_table_format("csv"), TableFormat::kCsv);
  EXPECT_EQ(parse_table_format("lines"), TableFormat::kLines);
  EXPECT_EQ(parse_table_format("tsv"), TableFormat::kTsv);
  EXPECT_EQ(parse_table_format("jsonl"), TableFormat::kJsonl);
  EXPECT_EQ(error_of([] { parse_table_format("xlsx"); }),
            "usage: expected the form of a table, lines, tsv, csv or jsonl; found \"xlsx\"");
}

TEST(TableReaderTest, LinesKeepTabsAndEmptyRows) {
  const Rows expected = {{"a\tb"}, {""}, {" \"c\", d "}, {"e"}};
  EXPECT_EQ(rows_of("a\tb\n\n \"c\", d \r\ne", TableFormat::kLines), expected);
  EXPECT_EQ(rows_of("", TableFormat::kLines), Rows());
  EXPECT_EQ(rows_of("\n", TableFormat::kLines), (Rows{{""}}));
}

TEST(TableReaderTest, TsvHasNoQuoting) {
  const Rows expected = {{"\"a", "b\""}, {"", ""}, {"c", "", "d"}, {""}};
  EXPECT_EQ(rows_of("\"a\tb\"\r\n\t\nc\t\td\n\n", TableFormat::kTsv), expected);
}

TEST(TableReaderTest, CsvByRfc4180) {
  const std::string content =
      "text,label\r\n"
      "plain,1\n"
      "\"with, comma\",2\r\n"
      "\"line one\nline \"\"two\"\"\r\nline three\",3\n"
      "\"\",\"\"\n"
      ",\n"
      "\"\"\"\",\"a\"\"\"\n"
      " spaces kept , x";
  const Rows expected = {
      {"text", "label"}, {"plain", "1"}, {"with, comma", "2"}, {"line one\nline \"two\"\r\nline three", "3"},
      {"", ""},          {"", ""},       {"\"", "a\""},        {" spaces kept ", " x"}};
  EXPECT_EQ(rows_of(content, TableFormat::kCsv), expected);
  for (const size_t step : {1, 2, 3, 7}) EXPECT_EQ(rows_of(content, TableFormat::kCsv, step), expected) << step;
}

TEST(TableReaderTest, CsvEnds) {
  EXPECT_EQ(rows_of("", TableFormat::kCsv), Rows());
  EXPECT_EQ(rows_of("a,", TableFormat::kCsv), (Rows{{"a", ""}}));
  EXPECT_EQ(rows_of("\"a\"", TableFormat::kCsv), (Rows{{"a"}}));
  EXPECT_EQ(rows_of("a\n\nb\n", TableFormat::kCsv), (Rows{{"a"}, {""}, {"b"}}));
  EXPECT_EQ(rows_of("\"a\",\"\"\n", TableFormat::kCsv), (Rows{{"a", ""}}));
}

TEST(TableReaderTest, CsvLineNumbersCountLinesInsideQuotes) {
  TableReader reader(std::make_unique<SlowBytes>("h\n\"a\nb\nc\"\nd\n", 4), "data", {.format = TableFormat::kCsv});
  std::vector<int64_t> lines;
  while (const Row* row = reader.next()) lines.push_back(row->line);
  EXPECT_THAT(lines, ElementsAre(1, 2, 5));
}

TEST(TableReaderTest, CsvErrorsNameTheLine) {
  EXPECT_EQ(csv_error("a,b\nc,\"never\nends\nhere\n"),
            "format: data line 2: a quoted field begins here and never ends; expected a closing quote");
  EXPECT_THAT(csv_error("a\n\"b\" c\n"),
              StartsWith("format: data line 2: text after a closing quote; expected a comma"));
  EXPECT_THAT(csv_error("\"b\"\rc\n"), HasSubstr("line 1: text after a closing quote"));
  EXPECT_THAT(csv_error("a\n\"x\ny\"\nb \"c\"\n"),
              StartsWith("format: data line 4: a quote inside a field that does not begin with one"));
}

TEST(TableReaderTest, CsvRowThatNeverEndsIsStopped) {
  CsvRecordReader reader(std::make_unique<SlowBytes>("a\n\"" + std::string(300000, 'x'), 1 << 20), "data", 100000);
  EXPECT_EQ(reader.next(), "a");
  EXPECT_THAT(error_of([&] { reader.next(); }),
              HasSubstr("line 2: a row longer than 100000 bytes; is a quote left open?"));
}

TEST(TableReaderTest, JsonlGivesObjects) {
  TableReader reader(std::make_unique<SlowBytes>("{\"a\": 1}\r\n{\"b\": [\"\\n\"]}", 5), "data",
                     {.format = TableFormat::kJsonl});
  EXPECT_EQ(reader.next()->object.at("a"), 1);
  const Row* row = reader.next();
  EXPECT_EQ(row->object.at("b").at(0), "\n");
  EXPECT_EQ(row->line, 2);
  EXPECT_EQ(reader.next(), nullptr);
}

TEST(TableReaderTest, JsonlErrors) {
  const auto error = [](std::string_view content) { return error_of([&] { rows_of(content, TableFormat::kJsonl); }); };
  EXPECT_EQ(error("{}\n\n"), "format: data line 2: expected a JSON object, found an empty line; remove it");
  EXPECT_EQ(error("[{}]"),
            "format: data line 1: expected a JSON object a line, found an array; write its items one a line (jq -c "
            "'.[]')");
  EXPECT_EQ(error("{}\n7\n"), "format: data line 2: expected a JSON object a line, found number");
  EXPECT_THAT(error("{}\n{\"a\": \n"), StartsWith("format: data line 2: not valid JSON"));
}

TEST(TableReaderTest, LabelSpaceSplitsAtTheFirstSpace) {
  EXPECT_EQ(rows_of("DESC:def What is\tthis ?\nNUM \n", TableFormat::kLabelSpace),
            (Rows{{"DESC:def", "What is\tthis ?"}, {"NUM", ""}}));
  EXPECT_EQ(error_of([] { rows_of("a b\nab\n", TableFormat::kLabelSpace); }),
            "format: data line 2: expected a label, a space and a text, found no space");
}

TEST(TableReaderTest, BomIsDroppedAtTheStartOnly) {
  for (const size_t step : {1, 2, 100}) {
    EXPECT_EQ(rows_of("\xEF\xBB\xBF"
                      "a\n\xEF\xBB\xBF"
                      "b\n",
                      TableFormat::kLines, step),
              (Rows{{"a"},
                    {"\xEF\xBB\xBF"
                     "b"}}));
    EXPECT_EQ(rows_of("\xEF\xBB\xBF\"a\",b\n", TableFormat::kCsv, step), (Rows{{"a", "b"}}));
    EXPECT_EQ(rows_of("\xEF\xBB\xBF", TableFormat::kLines, step), Rows());
    EXPECT_EQ(rows_of("\xEF\xBC\x81"
                      "a\n",
                      TableFormat::kLines, step),
              (Rows{{"\xEF\xBC\x81"
                     "a"}}));  // U+FF01
  }
}

TEST(TableReaderTest, InvalidUtf8IsRefusedWithPlace) {
  const auto error = [](std::string_view content, TableFormat format) {
    return error_of([&] { rows_of(content, format); });
  };
  EXPECT_EQ(error("good\nbad \xF0\x9F text\n", TableFormat::kLines),
            "format: data line 2: expected UTF-8, found the invalid byte 0xF0 at byte offset 4 of the row; convert the "
            "file (iconv -f ENCODING -t UTF-8), or have such bytes replaced by U+FFFD (--invalid-utf8 replace)");
  EXPECT_THAT(error("a\tcaf\xE9\n", TableFormat::kTsv),
              HasSubstr("line 1: expected UTF-8, found the invalid byte 0xE9"));
  EXPECT_THAT(error("a\n\"x\ny\",\xFF\n", TableFormat::kCsv),
              HasSubstr("line 2: expected UTF-8, found the invalid byte 0xFF at byte offset 6 "));
  EXPECT_THAT(error("{\"a\": \"\xC0\"}", TableFormat::kJsonl), HasSubstr("the invalid byte 0xC0 at byte offset 7 "));
}

TEST(TableReaderTest, InvalidUtf8IsReplacedAndCounted) {
  const std::string bad = "\xF0\x9F\x41";  // a maximal subpart of two bytes, then A
  EXPECT_EQ(rows_of(bad, TableFormat::kLines, 99, InvalidUtf8::kReplace), (Rows{{"\uFFFDA"}}));
  EXPECT_EQ(rows_of("x\t" + bad + "\t\xFF\xFF", TableFormat::kTsv, 99, InvalidUtf8::kReplace),
            (Rows{{"x", "\uFFFDA", "\uFFFD\uFFFD"}}));
  EXPECT_EQ(rows_of("\"\xE9\"\"\",\xE9", TableFormat::kCsv, 99, InvalidUtf8::kReplace), (Rows{{"\uFFFD\"", "\uFFFD"}}));
  TableReader reader(std::make_unique<SlowBytes>("{\"a\": \"\xFF\xFE\"}\n{\"a\": \"\"}\n{\"a\": \"\xFF\"}", 99), "data",
                     {.format = TableFormat::kJsonl, .invalid_utf8 = InvalidUtf8::kReplace});
  EXPECT_EQ(reader.next()->object.at("a"), "\uFFFD\uFFFD");
  EXPECT_EQ(reader.next()->replaced, 0);
  EXPECT_EQ(reader.next()->replaced, 1);
  EXPECT_EQ(reader.replaced(), 3);
}

TEST(TableReaderTest, NulBytesAreBytes) {
  const std::string content("a\0b\tc\n", 6);
  EXPECT_EQ(rows_of(content, TableFormat::kTsv), (Rows{{std::string("a\0b", 3), "c"}}));
}

TEST(TableReaderTest, GzipAndFileNames) {
  const TemporaryFolder folder;
  const Path path = folder.write_gzip("x.csv.gz", "a,\"b\nc\"\n");
  const std::unique_ptr<TableReader> reader = TableReader::open(path);
  EXPECT_EQ(reader->format(), TableFormat::kCsv);
  EXPECT_EQ(reader->name(), path.string());
  EXPECT_THAT(reader->next()->fields, ElementsAre("a", "b\nc"));
  EXPECT_EQ(reader->next(), nullptr);
  EXPECT_THAT(error_of([&] { TableReader::open(folder.path() / "none.tsv"); }), StartsWith("not found: cannot open"));
}

TEST(TableReaderTest, RowOfTenMegabytes) {
  const std::string big(10 << 20, 'x');
  const TemporaryFolder folder;
  const Path path = folder.write("big.csv", "a,\"" + big + "\"\"" + big + "\"\nb,c\n");
  const std::unique_ptr<TableReader> reader = TableReader::open(path);
  EXPECT_EQ(reader->next()->fields[1].size(), 2 * big.size() + 1);
  EXPECT_THAT(reader->next()->fields, ElementsAre("b", "c"));
}

TEST(TableReaderTest, ReadyOnlyWhenARowIsWhole) {
  for (const TableFormat format : {TableFormat::kLines, TableFormat::kTsv, TableFormat::kCsv}) {
    TableReader reader(std::make_unique<SlowBytes>("aa\nbb\ncc", 4), "data", {.format = format});
    EXPECT_FALSE(reader.ready());
    EXPECT_EQ(reader.next()->fields[0], "aa");
    EXPECT_FALSE(reader.ready());  // read so far: "aa\nb" at most
  }
  // The first block is of 3 bytes at most (a BOM would be); the second ends with a line end inside quotes.
  TableReader quoted(std::make_unique<SlowBytes>("a\n\"bbbb\nc\"\nd\n", 5), "data", {.format = TableFormat::kCsv});
  quoted.next();
  EXPECT_FALSE(quoted.ready());
  TableReader two(std::make_unique<SlowBytes>("a\n\"bbbb\nc\"\nd\n", 20), "data", {.format = TableFormat::kCsv});
  two.next();
  two.next();
  EXPECT_TRUE(two.ready());
}

/// Standard input as a pipe, for one test.
class PipedInput {
 public:
  PipedInput() : saved_(::dup(STDIN_FILENO)) {
    EXPECT_EQ(::pipe(ends_), 0);
    ::dup2(ends_[0], STDIN_FILENO);
  }
  ~PipedInput() {
    close_writer();
    ::close(ends_[0]);
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }
  void write(std::string_view text) { EXPECT_EQ(::write(ends_[1], text.data(), text.size()), std::ssize(text)); }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int saved_, ends_[2] = {-1, -1};
};

TEST(TableReaderTest, StandardInputStreams) {
  PipedInput input;
  const std::unique_ptr<TableReader> reader = TableReader::open("-", {.format = TableFormat::kTsv});
  EXPECT_EQ(reader->name(), "standard input");
  input.write("a\tb\nc\td\n");
  EXPECT_THAT(reader->next()->fields, ElementsAre("a", "b"));  // though the writer has not ended
  while (reader->ready()) reader->next();
  input.write("e\tf");
  input.close_writer();
  std::vector<std::string> last;
  while (const Row* row = reader->next()) last.assign(row->fields.begin(), row->fields.end());
  EXPECT_THAT(last, ElementsAre("e", "f"));
}

}  // namespace
}  // namespace cloze
