// Data files that are empty, broken or not what they say: through the program, one test a case.
#include <zlib.h>

#include "hostile.h"

namespace cloze::test {
namespace {

/// A command on one file, $F.
struct DataCase {
  const char* name;
  std::string file, content;
  std::string command;
  std::vector<std::string> words;
  int exit_code = 1;
  std::string out = "";  ///< in stdout, where rows are answered before the error
};

void PrintTo(const DataCase& one, std::ostream* out) {
  *out << one.name;
}

const std::string kGood = "label\ttext\na\tx y\nb\tz\n";
const std::string kTrainFile = "$CLOZE finetune $SCRATCH --train $F --output ${D}out ";
const std::string kDev = "$CLOZE finetune $SCRATCH --train ${D}good.tsv --dev $F --output ${D}out ";
const std::string kEvaluate = "$CLOZE evaluate --model $M --data $F ";
const std::string kPredict = "$CLOZE predict --model $M --input $F ";
const std::string kTokenize = "$CLOZE tokenize --model $M --input $F ";

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}
std::string cut(std::string text, size_t bytes) {
  text.resize(text.size() - bytes);
  return text;
}
std::string flipped(std::string text, size_t from_end) {
  text[text.size() - from_end] = static_cast<char>(text[text.size() - from_end] ^ 1);
  return text;
}
std::string nul(std::string text) {
  std::ranges::replace(text, '@', '\0');
  return text;
}

class HostileData : public testing::TestWithParam<DataCase> {};

TEST_P(HostileData, IsRefusedInWords) {
  const DataCase& one = GetParam();
  const HostilePlace place;
  place.write("good.tsv", kGood);
  place.write(one.file, one.content);
  const auto before = place.files();
  const std::string limit = kSanitized ? "" : "ulimit -v 1500000; ";
  const Outcome outcome = place.run(limit + "F=\"${D}" + one.file + "\"; " + one.command);
  expect_outcome(place, outcome, one.exit_code, one.words);
  EXPECT_THAT(outcome.out, testing::HasSubstr(one.out));
  EXPECT_EQ(outcome.out.empty(), one.out.empty()) << outcome.out;
  EXPECT_EQ(place.files(), before) << "nothing is made before the data is read";
}

const DataCase kTables[] = {
    {"EmptyTsv",
     "a.tsv",
     "",
     kTrainFile,
     {"%a.tsv: expected a header row with the columns' names, found an empty file"}},
    {"EmptyCsv", "a.csv", "", kTrainFile, {"%a.csv: expected a header row"}},
    {"EmptyJsonl", "a.jsonl", "", kTrainFile, {"%a.jsonl: there are no rows"}},
    {"EmptyDev", "a.tsv", "", kDev, {"%a.tsv: expected a header row"}},
    {"EmptyToEvaluate", "a.tsv", "", kEvaluate, {"%a.tsv: expected a header row"}},
    {"EmptyTableToPredict", "a.tsv", "", kPredict, {"%a.tsv: expected a header row"}},
    {"HeaderOnly", "a.tsv", "label\ttext\n", kTrainFile, {"%a.tsv: there are no rows"}},
    {"HeaderOnlyDev", "a.tsv", "label\ttext\n", kDev, {"%a.tsv: there are no rows"}},
    {"HeaderOnlyToEvaluate", "a.tsv", "label\ttext\n", kEvaluate, {"%a.tsv: there are no rows"}},
    {"RowTooLong",
     "a.tsv",
     kGood + "a\tx\ty\n",
     kTrainFile,
     {"%a.tsv line 4: expected 2 fields as in line 1, found 3; TSV has no quoting, so that a text cannot hold a tab"}},
    {"RowTooShort", "a.tsv", kGood + "a\n", kTrainFile, {"%a.tsv line 4: expected 2 fields as in line 1, found 1"}},
    {"EmptyLine",
     "a.tsv",
     kGood + "\n",
     kTrainFile,
     {"line 4: expected 2 fields as in line 1, found 1: an empty line; remove"}},
    {"RowTooLongCsv",
     "a.csv",
     "label,text\na,x, y\n",
     kTrainFile,
     {"%a.csv line 2: expected 2 fields as in line 1, found 3; a text with commas must stand in quotes"}},
    {"RowTooLongToPredict",
     "a.tsv",
     "id\ttext\n1\tx\n2\ty\tz\n",
     kPredict,
     {"line 3: expected 2 fields"},
     1,
     "\"tokens\": 3"},
    {"QuoteNeverCloses",
     "a.csv",
     "label,text\na,\"x\nb,y\n",
     kTrainFile,
     {"%a.csv line 2: a quoted field begins here and never ends; expected a closing quote"}},
    {"QuoteInTheMiddle",
     "a.csv",
     "label,text\na,x\"y\n",
     kTrainFile,
     {"line 2: a quote inside a field that does not begin"}},
    {"TextAfterQuote", "a.csv", "label,text\na,\"x\"y\n", kTrainFile, {"line 2: text after a closing quote"}},
    {"NulInJson",
     "a.jsonl",
     nul("{\"label\":\"a\",\"text\":\"x@\"}\n"),
     kTrainFile,
     {"line 1: not valid JSON: a NUL byte at 22"}},
    {"Utf16WithoutMark",
     "a.tsv",
     nul("l@a@b@e@l@\t@t@e@x@t@\n@a@\t@x@\n@"),
     kTrainFile,
     {"no column for the text; columns found: \"l\\x00a\\x00b"},
     2},
    {"Utf16",
     "a.tsv",
     nul("\xff\xfel@a@b@e@l@\n@"),
     kTrainFile,
     {"line 1: expected UTF-8, found the invalid byte 0xFF at byte offset 0 of the row; convert the file (iconv"}},
    {"Latin1",
     "a.tsv",
     kGood + "a\tcaf\xe9\n",
     kTrainFile,
     {"%a.tsv line 4: expected UTF-8, found the invalid byte 0xE9"}},
    {"Latin1Dev", "a.tsv", kGood + "a\tcaf\xe9\n", kDev, {"%a.tsv line 4: expected UTF-8"}},
    {"Latin1ToEvaluate",
     "a.tsv",
     "label\ttext\npos\tcaf\xe9\n",
     kEvaluate,
     {"line 2: expected UTF-8", "--invalid-utf8"}},
    {"Latin1ToPredictRefused",
     "a.txt",
     "good\ncaf\xe9\n",
     kPredict + "--invalid-utf8 refuse",
     {"line 2: expected UTF-8"},
     1,
     "\"tokens\": 3"},
    {"NoLabelColumn",
     "a.tsv",
     "id\ttext\n1\tx\n",
     kTrainFile,
     {"%a.tsv: no column for the label; columns found: \"id\", \"text\"", "Name it with --label"},
     2},
    {"NoTextColumn",
     "a.csv",
     "label,words\na,x\n",
     kTrainFile,
     {"no column for the text; columns found: \"label\", \"words\""},
     2},
    {"LabelColumnAbsent",
     "a.tsv",
     kGood,
     kTrainFile + "--label sort",
     {"there is no column \"sort\" (--label); columns found"},
     2},
    {"TextColumnAbsent", "a.tsv", kGood, kPredict + "--text words", {"there is no column \"words\" (--text)"}, 2},
    {"ColumnNumberAbsent",
     "a.tsv",
     kGood,
     kTrainFile + "--label 9",
     {"there is no column \"9\"", "a number from 1 on"},
     2},
    {"OneColumnTwice", "a.tsv", kGood, kTrainFile + "--text 1", {"is asked for as both text and label"}, 2},
    {"PlainTextToTrain",
     "a.txt",
     "a x\nb y\n",
     kTrainFile,
     {"read as plain text", "so no label; say what it is by"},
     2},
    {"LabelUnseenDev",
     "a.tsv",
     "label\ttext\nc\tx\n",
     kDev,
     {"%a.tsv line 2: the label \"c\" is not one of the model's", "labels of the data:  c\n", "of the model: a, b\n"}},
    {"LabelUnseenToEvaluate",
     "a.tsv",
     kGood,
     kEvaluate,
     {"%a.tsv line 2: the label \"a\" is not one of the model's", "labels of the data:  a, b\n",
      "of the model: neg, pos\n"}},
    {"OneClassOnly",
     "a.tsv",
     "label\ttext\na\tx\na\ty\n",
     kTrainFile,
     {"all 2 rows have the label \"a\"; a classifier needs at least two labels"}},
    {"LabelEmpty", "a.tsv", "label\ttext\na\tx\n\ty\n", kTrainFile, {"line 3: expected a label, found an empty one"}},
    {"JsonArray",
     "a.json",
     "[{\"label\": \"a\", \"text\": \"x\"}]\n",
     kTrainFile,
     {"line 1: expected a JSON object a line, found an array; write its items one a line"}},
    {"JsonBroken",
     "a.jsonl",
     "{\"label\": \"a\", \"text\": \"x\"}\n{\"label\":\n",
     kTrainFile,
     {"%a.jsonl line 2: not valid JSON: parse error"}},
    {"JsonDeep",
     "a.jsonl",
     std::string(1000000, '[') + "\n",
     kTrainFile,
     {"%a.jsonl line 1: JSON nested deeper than 64 levels"}},
    {"JsonKeyMissing",
     "a.jsonl",
     "{\"label\": \"a\", \"text\": \"x\"}\n{\"label\": \"b\"}\n",
     kTrainFile,
     {"line 2: expected the key \"text\", found \"label\""}},
    {"JsonTextANumber",
     "a.jsonl",
     "{\"text\": 3}\n",
     kPredict,
     {"line 1: expected a string under \"text\", found number"}},
    {"JsonLabelNull", "a.jsonl", "{\"label\": null, \"text\": \"x\"}\n", kTrainFile, {"under \"label\", found null"}},
};

const std::string kMany = [] {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "good bad\n";
  return text;
}();

const DataCase kFiles[] = {
    {"FolderToTrain", "f/a.tsv", kGood, "F=${D}f; " + kTrainFile, {"cannot read %f: expected a file, found a folder"}},
    {"FolderAsDev", "f/a.tsv", kGood, "F=${D}f; " + kDev, {"cannot read %f: expected a file, found a folder"}},
    {"FolderToEvaluate",
     "f/a.tsv",
     kGood,
     "F=${D}f; " + kEvaluate,
     {"cannot read %f: expected a file, found a folder"}},
    {"FolderToPredict", "f/a.tsv", kGood, "F=${D}f; " + kPredict, {"cannot read %f: expected a file, found a folder"}},
    {"FolderToTokenize",
     "f/a.tsv",
     kGood,
     "F=${D}f; " + kTokenize,
     {"cannot read %f: expected a file, found a folder"}},
    {"VocabularyTwice", "f/a.tsv", kGood, "F=${D}f/a.tsv; " + kTrainFile + "--vocab ${D}f", {"--vocab"}, 2},
    {"FolderWithoutVocabulary",
     "f/a.tsv",
     kGood,
     "$CLOZE finetune --task text-classification --from-scratch --vocab ${D}f --train $F --output ${D}out",
     {"%f has neither tokenizer.json nor vocab.txt"}},
    {"ModelIsAFile", "a.tsv", kGood, "$CLOZE predict --model $F", {"%a.tsv is a file; expected a model directory"}, 2},
    {"StdinClosed",
     "a.tsv",
     kGood,
     "$CLOZE predict --model $M <&-",
     {"cannot read standard input: Bad file descriptor"}},
    {"ZerosWithoutEnd",
     "a.tsv",
     kGood,
     "$CLOZE predict --model $M --input /dev/zero",
     {"/dev/zero line 1: a row longer than 268435456 bytes; is it a text file?"}},
    {"GzipCut", "a.tsv.gz", cut(gzip(kGood), 12), kTrainFile, {"%a.tsv.gz is not a whole gzip file: unexpected end"}},
    {"GzipWithoutItsTail",
     "a.tsv.gz",
     cut(gzip(kGood), 4),
     kTrainFile,
     {"%a.tsv.gz is not a whole gzip file: unexpected end"}},
    {"GzipWrongCrc",
     "a.tsv.gz",
     flipped(gzip(kGood), 8),
     kTrainFile,
     {"is not a whole gzip file: incorrect data check"}},
    {"GzipWrongLength",
     "a.tsv.gz",
     flipped(gzip(kGood), 4),
     kTrainFile,
     {"is not a whole gzip file: incorrect length check"}},
    {"GzipGarbageAfter", "a.tsv.gz", gzip(kGood) + "garbage", kTrainFile, {"other bytes follow after the packed data"}},
    {"GzipNotPacked", "a.tsv.gz", kGood, kTrainFile, {"%a.tsv.gz is not a gzip file, but its name ends in .gz"}},
    {"GzipEmpty", "a.tsv.gz", "", kTrainFile, {"%a.tsv.gz is not a gzip file: it is empty"}},
    {"GzipCutToPredict",
     "a.txt.gz",
     cut(gzip(kMany), 20),
     kPredict,
     {"a.txt.gz is not a whole gzip file"},
     1,
     "\"score\""},
    {"GzipCutToTokenize",
     "a.txt.gz",
     cut(gzip(kMany), 20),
     kTokenize,
     {"a.txt.gz is not a whole gzip file"},
     1,
     "\"ids\""},
    {"GzipGarbageToTokenize",
     "a.txt.gz",
     gzip("good\nbad\n") + "garbage",
     kTokenize,
     {"other bytes follow after the packed data"},
     1,
     "[2, 6, 3]"},
    {"LengthsNotNumbers",
     "l.txt",
     "3\nx\n",
     "$CLOZE bench --model $M --lengths $F",
     {"%l.txt line 2: expected a number of tokens, found \"x\""}},
    {"LengthsTooLong",
     "l.txt",
     "3\n1000000000000\n",
     "$CLOZE bench --model $M --lengths $F",
     {"a row of 1000000000000 tokens was asked for; the model takes 1 to 32"}},
    {"LengthsEmpty", "l.txt", "", "$CLOZE bench --model $M --lengths $F", {"bench needs rows"}, 2},
};

std::string name_of_data(const testing::TestParamInfo<DataCase>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Tables, HostileData, testing::ValuesIn(kTables), name_of_data);
INSTANTIATE_TEST_SUITE_P(Files, HostileData, testing::ValuesIn(kFiles), name_of_data);

/// What looks odd but is data: taken as it is.
TEST(OddData, IsTaken) {
  const HostilePlace place;
  const auto predict = [&](const std::string& name, const std::string& content) {
    place.write(name, content);
    const Outcome outcome = place.run("$CLOZE predict --model $M --input ${D}" + name);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return std::ranges::count(outcome.out, '\n');
  };
  EXPECT_EQ(predict("empty.txt", ""), 0);
  EXPECT_EQ(predict("empty.jsonl", ""), 0);
  EXPECT_EQ(predict("nul.txt", nul("x@y\n@\n")), 2) << "NUL bytes are characters, which the tokenizer drops";
  EXPECT_EQ(predict("nul.tsv", nul("text\nx@y\n")), 1);
  EXPECT_EQ(predict("two.txt.gz", gzip("x\n") + gzip("y\n") + std::string(512, '\0')), 2);
  EXPECT_EQ(predict("long.txt", std::string(1 << 20, 'x') + "\n"), 1);
  EXPECT_EQ(predict("latin1.txt", "caf\xe9\n"), 1);
}

/// Names from files are shown, and never obeyed by the terminal.
TEST(OddData, EscapesDoNotReachTheTerminal) {
  const HostilePlace place;
  place.write("a.tsv",
              "\x1b[2Jevil\x07\t\xc2\x9b"
              "31m\nx\ty\n");
  const Outcome outcome = place.run("$CLOZE predict --model $M --input ${D}a.tsv");
  expect_outcome(place, outcome, 2, {"\\x1b[2Jevil\\x07", "\\u009b31m"});
  expect_one_line(outcome);
  EXPECT_EQ(outcome.err.find("\xc2\x9b"), std::string::npos);
}

}  // namespace
}  // namespace cloze::test
