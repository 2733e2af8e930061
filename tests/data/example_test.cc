#include "cloze/data/example.h"

#include <set>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Examples of a file as "line|text|pair|label" ("-" where there is none).
std::vector<std::string> read(const Path& path, const ExampleOptions& options = {}) {
  std::vector<std::string> rows;
  for (const TextExample& one : read_all(path, options).rows) {
    rows.push_back(
        fmt::format("{}|{}|{}|{}", one.line, one.text, one.text_pair.value_or("-"), one.label.value_or("-")));
  }
  return rows;
}

using Strings = std::vector<std::string>;

class ExampleTest : public ::testing::Test {
 protected:
  std::string error(std::string_view name, std::string_view content, const ExampleOptions& options = {}) {
    const std::string text = error_of([&] { read(folder.write(name, content), options); });
    const size_t at = text.find(folder.path().string());
    return at == std::string::npos ? text : text.substr(0, at) + text.substr(at + folder.path().string().size() + 1);
  }
  TemporaryFolder folder;
};

TEST_F(ExampleTest, TsvCsvJsonlAndLines) {
  EXPECT_EQ(read(folder.write("a.tsv", "label\tsentence\r\n1\tgood\r\n0\t\r\n")), (Strings{"2|good|-|1", "3||-|0"}));
  EXPECT_EQ(read(folder.write("a.csv", "text,category\n\"a\nb\",x\nc,y")), (Strings{"2|a\nb|-|x", "4|c|-|y"}));
  EXPECT_EQ(read(folder.write("a.jsonl", "{\"Text\": \"q\", \"label\": \"l\"}\n{\"label\": \"m\", \"Text\": \"\"}\n")),
            (Strings{"1|q|-|l", "2||-|m"}));
  EXPECT_EQ(read(folder.write("a.txt",
                              "\xEF\xBB\xBF"
                              "one\ttab\n\nlast"),
                 {.columns = {.label_need = Need::kOptional}}),
            (Strings{"1|one\ttab|-|-", "2||-|-", "3|last|-|-"}));
  EXPECT_EQ(read(folder.write_gzip("a.tsv.gz", "sentence1\tsentence2\tlabel\nx\ty\tz\n")), (Strings{"2|x|y|z"}));
}

TEST_F(ExampleTest, FirstRowIsDataWithoutHeader) {
  const ExampleOptions options = {.columns = {.text = "2", .label = "1", .header = Header::kNone}};
  EXPECT_EQ(read(folder.write("a.tsv", "1\tgood\n0\tbad\n"), options), (Strings{"1|good|-|1", "2|bad|-|0"}));
}

TEST_F(ExampleTest, JsonLabelsBecomeText) {
  const std::string rows =
      "{\"text\": \"a\", \"label\": 3}\n{\"text\": \"a\", \"label\": -12}\n{\"text\": \"a\", \"label\": true}\n"
      "{\"text\": \"a\", \"label\": 3.8}\n{\"text\": \"a\", \"label\": \"3\"}\n";
  EXPECT_EQ(read(folder.write("a.jsonl", rows)),
            (Strings{"1|a|-|3", "2|a|-|-12", "3|a|-|true", "4|a|-|3.8", "5|a|-|3"}));
}

TEST_F(ExampleTest, JsonErrorsNameLineAndKey) {
  EXPECT_EQ(error("a.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"lable\": 1}\n"),
            "format: a.jsonl line 2: expected the key \"label\", found \"text\", \"lable\"");
  EXPECT_EQ(error("a.jsonl", "{\"text\": 7, \"label\": 1}\n"),
            "format: a.jsonl line 1: expected a string under \"text\", found number");
  EXPECT_EQ(error("a.jsonl", "{\"text\": \"a\", \"label\": {\"x\": 1}}\n"),
            "format: a.jsonl line 1: expected a string, a number or a bool under \"label\", found object");
  EXPECT_EQ(error("a.jsonl", "{\"text\": \"a\", \"label\": null}\n"),
            "format: a.jsonl line 1: expected a string, a number or a bool under \"label\", found null");
  EXPECT_THAT(error("a.jsonl", "{\"a\": \"a\"}\n"),
              StartsWith("usage: a.jsonl: no column for the text; keys found: \"a\". Looked for sentence,"));
  EXPECT_THAT(error("a.jsonl", "{\"a\": \"a\"}\n", {.columns = {.text = "1"}}),
              HasSubstr("there is no column \"1\" (--text); keys found: \"a\"; give a key"));
}

TEST_F(ExampleTest, FieldCountsAreChecked) {
  EXPECT_EQ(
      error("a.tsv", "label\ttext\n1\tgood\n0\tbad\ttab\n"),
      "format: a.tsv line 3: expected 2 fields as in line 1, found 3; TSV has no quoting, so that a text cannot hold "
      "a tab");
  EXPECT_EQ(error("a.tsv", "label\ttext\n1\n"), "format: a.tsv line 2: expected 2 fields as in line 1, found 1");
  EXPECT_EQ(error("a.csv", "label,text\n1,a,b\n"),
            "format: a.csv line 2: expected 2 fields as in line 1, found 3; a text with commas must stand in quotes");
  EXPECT_EQ(error("a.csv", "label,text\n1,a\n\n"),
            "format: a.csv line 3: expected 2 fields as in line 1, found 1: an empty line; remove it");
  EXPECT_EQ(error("a.tsv", "g\t1\t\ts\nx\ty\n", {.columns = {.layout = "cola"}}),
            "format: a.tsv line 2: expected 4 fields as in line 1, found 2");
  EXPECT_EQ(error("a.tsv", "a\tb\tc\td\te\n", {.columns = {.layout = "cola"}}),
            "format: a.tsv line 1: expected 4 fields, found 5; TSV has no quoting, so that a text cannot hold a tab");
  EXPECT_EQ(error("a.tsv", "1\t2\t3\t4\t5.0\ta\tb\n1\t2\n", {.columns = {.layout = "stsb-original"}}),
            "format: a.tsv line 2: expected at least 7 fields as in line 1, found 2");
}

TEST_F(ExampleTest, LabelsMayBeEmptyOnlyWhereOptional) {
  const std::string content = "label\ttext\n\ta\n";
  EXPECT_EQ(error("a.tsv", content), "format: a.tsv line 2: expected a label, found an empty one");
  EXPECT_EQ(read(folder.write("a.tsv", content), {.columns = {.label_need = Need::kOptional}}), (Strings{"2|a|-|"}));
  EXPECT_EQ(read(folder.write("b.tsv", "text\na\n"), {.columns = {.label_need = Need::kOptional}}),
            (Strings{"2|a|-|-"}));
}

TEST_F(ExampleTest, LayoutDecidesTheFormWhereTheExtensionDoesNot) {
  const std::string trec = "DESC:manner How ?\nNUM:date When\n";
  EXPECT_EQ(read(folder.write("t.label", trec), {.columns = {.layout = "trec"}}),
            (Strings{"1|How ?|-|DESC", "2|When|-|NUM"}));
  EXPECT_EQ(read(folder.write("t.tsv", trec), {.columns = {.layout = "trec-fine"}}),
            (Strings{"1|How ?|-|DESC:manner", "2|When|-|NUM:date"}));
  EXPECT_EQ(read(folder.write("t.data", "a\tb\t3.5\n"), {.columns = {.layout = "stsb-zh"}}), (Strings{"1|a|b|3.5"}));
  EXPECT_EQ(read(folder.write("t.csv", "index,sentence1,sentence2,label\n0,a,b,c\n"), {.columns = {.layout = "rte"}}),
            (Strings{"2|a|b|c"}));
  EXPECT_EQ(read(folder.write("t.txt", "text\tlabel\na\tb\n"), {.table = {.format = TableFormat::kTsv}}),
            (Strings{"2|a|-|b"}));
}

TEST_F(ExampleTest, LimitAndCounts) {
  const Path path = folder.write("a.tsv", "label\ttext\n1\ta\xFF\n1\tb\n1\tc\xFF\xFF\n");
  const ExampleOptions replace = {.table = {.invalid_utf8 = InvalidUtf8::kReplace}};
  EXPECT_EQ(read_all(path, replace).replaced, 3);
  EXPECT_EQ(read_all(path, replace).rows[2].replaced, 2);
  EXPECT_EQ(read_all(path, replace, 2).rows.size(), 2u);
  EXPECT_EQ(read_all(path, replace, 0).rows.size(), 0u);
  EXPECT_EQ(read_all(path, replace, 2).replaced, 1);
  EXPECT_THAT(error_of([&] { read_all(path, {}); }),
              HasSubstr("a.tsv line 2: expected UTF-8, found the invalid byte 0xFF at byte offset 3 of the row"));
}

TEST_F(ExampleTest, EmptyFiles) {
  EXPECT_EQ(error("a.tsv", ""), "format: a.tsv: expected a header row with the columns' names, found an empty file");
  EXPECT_EQ(read(folder.write("a.jsonl", "")), Strings());
  EXPECT_EQ(read(folder.write("b.tsv", "label\ttext\n")), Strings());
}

TEST_F(ExampleTest, StreamsRowByRow) {
  ExampleReader reader(std::make_unique<TableReader>(std::make_unique<test::SlowBytes>("a\nb\nc", 2), "data"),
                       {.label_need = Need::kOptional});
  EXPECT_FALSE(reader.ready());  // plain text needs no look at the first row
  TextExample example;
  Strings texts;
  while (reader.next(example)) texts.push_back(example.text);
  EXPECT_EQ(texts, (Strings{"a", "b", "c"}));
  EXPECT_EQ(reader.rows(), 3);
  ExampleReader json(std::make_unique<TableReader>(std::make_unique<test::SlowBytes>("{\"text\": \"a\"}\n", 99), "data",
                                                   TableOptions{.format = TableFormat::kJsonl}),
                     {.label_need = Need::kOptional});
  EXPECT_TRUE(json.ready());  // its first row was read for the keys
}

/// A real file: rows, the labels that occur, and pairs or not.
struct RealFile {
  const char* path;
  const char* layout;
  int64_t rows;
  size_t labels;
  bool pairs;
  int64_t replaced = 0;
};

class RealFileTest : public ::testing::TestWithParam<RealFile> {};

TEST_P(RealFileTest, OpensWithItsRows) {
  const RealFile& file = GetParam();
  const Path path = Path(CLOZE_SOURCE_DIR) / "../shared/data" / file.path;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << ": the shared data is not here";
  ExampleOptions options = {.table = {.invalid_utf8 = InvalidUtf8::kReplace}, .columns = {.layout = file.layout}};
  const Examples all = read_all(path, options);
  std::set<std::string> labels;
  for (const TextExample& one : all.rows) {
    labels.insert(one.label.value());
    ASSERT_EQ(one.text_pair.has_value(), file.pairs) << one.line;
  }
  EXPECT_EQ(std::ssize(all.rows), file.rows);
  EXPECT_EQ(labels.size(), file.labels);
  EXPECT_EQ(all.replaced, file.replaced);
}

INSTANTIATE_TEST_SUITE_P(
    Shared, RealFileTest,
    ::testing::Values(
        RealFile{"glue/SST-2/train.tsv", "", 67349, 2, false}, RealFile{"glue/SST-2/dev.tsv", "", 872, 2, false},
        RealFile{"glue/SST-2/dev.tsv", "sst2", 872, 2, false}, RealFile{"glue/CoLA/train.tsv", "cola", 8551, 2, false},
        RealFile{"glue/CoLA/dev.tsv", "cola", 1043, 2, false}, RealFile{"glue/RTE/train.tsv", "", 2489, 2, true},
        RealFile{"glue/RTE/dev.tsv", "rte", 277, 2, true}, RealFile{"glue/STS-B/train.tsv", "stsb", 5749, 205, true},
        RealFile{"glue/STS-B/dev.tsv", "", 1500, 161, true},
        RealFile{"glue/STS-B/original/sts-test.tsv", "stsb-original", 1379, 151, true},
        RealFile{"classification/banking77/train.csv", "", 10003, 77, false},
        RealFile{"classification/banking77/test.csv", "banking77", 3080, 77, false},
        RealFile{"classification/trec/train.txt", "trec", 5452, 6, false, 1},
        RealFile{"classification/trec/test.txt", "trec", 500, 6, false},
        RealFile{"classification/imdb_train.tsv.gz", "", 10000, 2, false},
        RealFile{"classification/imdb_test.tsv.gz", "imdb", 5000, 2, false},
        RealFile{"chinese/chnsenticorp/train.tsv", "", 9600, 2, false},
        RealFile{"chinese/chnsenticorp/test.tsv", "chnsenticorp", 1200, 2, false},
        RealFile{"chinese/chnsenticorp/dev.tsv", "", 1200, 2, false},
        RealFile{"chinese/sts-b-zh/STS-B.train.data", "stsb-zh", 5231, 6, true},
        RealFile{"chinese/sts-b-zh/STS-B.valid.data", "stsb-zh", 1458, 6, true},
        RealFile{"chinese/sts-b-zh/STS-B.test.data", "stsb-zh", 1361, 6, true}));

TEST(RealTextTest, Trec) {
  const Path path = Path(CLOZE_SOURCE_DIR) / "../shared/data/classification/trec/train.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << ": the shared data is not here";
  EXPECT_THAT(error_of([&] { read_all(path, {.columns = {.layout = "trec"}}); }),
              HasSubstr("train.txt line 66: expected UTF-8, found the invalid byte 0xF0 at byte offset 52 of the row"));
}

TEST(RealTextTest, ClueNerReadsAsText) {
  const Path path = Path(CLOZE_SOURCE_DIR) / "../shared/data/ner/cluener/test.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << ": the shared data is not here";
  EXPECT_EQ(read_all(path, {.columns = {.label_need = Need::kOptional}}).rows.size(), 1345u);
}

}  // namespace
}  // namespace cloze
