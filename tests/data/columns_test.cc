#include "cloze/data/columns.h"

#include "cloze/data/columns_names.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// The roles found in a TSV header (or first row) as "text=name@index pair=… label=…".
std::string found(const std::vector<std::string_view>& header, const ColumnOptions& options = {},
                  TableFormat format = TableFormat::kTsv) {
  Row row;
  row.fields = header;
  row.line = 1;
  const Columns columns = resolve_columns(options, format, &row, "data.tsv");
  std::string text = fmt::format("text={}@{}", columns.text.name, columns.text.index);
  if (columns.text_pair) text += fmt::format(" pair={}@{}", columns.text_pair->name, columns.text_pair->index);
  if (columns.label) text += fmt::format(" label={}@{}", columns.label->name, columns.label->index);
  return text;
}

std::string refusal(const std::vector<std::string_view>& header, const ColumnOptions& options = {}) {
  return error_of([&] { found(header, options); });
}

const ColumnOptions kNoLabel = {.label_need = Need::kIgnored};

TEST(ColumnsTest, UsualHeaders) {
  EXPECT_EQ(found({"label", "sentence"}), "text=sentence@1 label=label@0");
  EXPECT_EQ(found({"label", "content"}), "text=content@1 label=label@0");
  EXPECT_EQ(found({"label", "text_a"}), "text=text_a@1 label=label@0");
  EXPECT_EQ(found({"text", "category"}), "text=text@0 label=category@1");
  EXPECT_EQ(found({"utterance", "intent"}), "text=utterance@0 label=intent@1");
  EXPECT_EQ(found({"Class", " Review "}), "text= Review @1 label=Class@0");
  EXPECT_EQ(found({"id", "label", "rating", "sentence"}), "text=sentence@3 label=label@1");
  EXPECT_EQ(found({"index", "sentence1", "sentence2", "label"}), "text=sentence1@1 pair=sentence2@2 label=label@3");
  EXPECT_EQ(found({"index", "question", "sentence", "label"}), "text=question@1 pair=sentence@2 label=label@3");
  EXPECT_EQ(found({"premise", "hypothesis", "gold_label"}), "text=premise@0 pair=hypothesis@1 label=gold_label@2");
}

TEST(ColumnsTest, OrderWhereSeveralMatch) {
  EXPECT_EQ(found({"text", "review", "sentence", "category", "label"}), "text=sentence@2 label=label@4");
  Row row;
  row.fields = {"text", "review", "sentence", "category", "label", "id"};
  const Columns columns = resolve_columns({}, TableFormat::kTsv, &row, "data.tsv");
  EXPECT_THAT(columns.unused, ElementsAre("text", "review", "category"));
  EXPECT_EQ(describe(columns),
            "text: column 3 \"sentence\", label: column 5 \"label\"; not used: \"text\", \"review\", \"category\"");
}

TEST(ColumnsTest, NeedsDecide) {
  EXPECT_EQ(found({"sentence1", "sentence2", "label"}, {.text_pair_need = Need::kIgnored}),
            "text=sentence1@0 label=label@2");
  EXPECT_EQ(found({"sentence1", "sentence2"}, {.label_need = Need::kOptional}), "text=sentence1@0 pair=sentence2@1");
  EXPECT_EQ(found({"text", "label"}, kNoLabel), "text=text@0");
  EXPECT_THAT(refusal({"text", "label"}, {.text_pair_need = Need::kRequired}),
              StartsWith("usage: data.tsv: no column for the text pair; columns found: \"text\", \"label\". Looked for "
                         "text_b, sentence2,"));
}

TEST(ColumnsTest, GivenByNameAndNumber) {
  EXPECT_EQ(found({"a", "b", "c"}, {.text = "b", .label = "3"}), "text=b@1 label=c@2");
  EXPECT_EQ(found({"Text", "text"}, {.text = "text", .label_need = Need::kIgnored}), "text=text@1");
  EXPECT_EQ(found({"2", "x"}, {.text = "2", .label_need = Need::kIgnored}), "text=2@0");  // a name before a number
  EXPECT_EQ(found({"A", "B"}, {.text = "b", .label = "a"}), "text=B@1 label=A@0");
  // With the text given, the pair is not guessed.
  EXPECT_EQ(found({"q", "sentence2", "label"}, {.text = "q"}), "text=q@0 label=label@2");
  EXPECT_EQ(found({"q", "sentence2", "label"}, {.text = "q", .text_pair = "sentence2"}),
            "text=q@0 pair=sentence2@1 label=label@2");
}

TEST(ColumnsTest, MissingColumnSaysWhatIsThereAndWhatToDo) {
  EXPECT_EQ(refusal({"setnence", "label"}, {.text = "sentence"}),
            "usage: data.tsv: there is no column \"sentence\" (--text), did you mean \"setnence\"?; columns found: "
            "\"setnence\", \"label\"; give a name, or a number from 1 on");
  EXPECT_THAT(refusal({"a", "b"}, {.text = "sentence"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(refusal({"a", "b"}, {.text = "0"}), HasSubstr("there is no column \"0\" (--text)"));
  EXPECT_THAT(refusal({"a", "b"}, {.text = "3"}), HasSubstr("there is no column \"3\" (--text)"));
  EXPECT_THAT(refusal({"a", "text"}, {.label = "lable"}), HasSubstr("(--label); columns found"));
  const std::string none = refusal({"I like it", "1"});
  EXPECT_THAT(none,
              StartsWith("usage: data.tsv: no column for the text; columns found: \"I like it\", \"1\". Looked for "
                         "sentence, content, text, text_a, review,"));
  EXPECT_THAT(none, HasSubstr("Name it with --text NAME or NUMBER; if the first row is data, add --no-header; or name "
                              "the file's layout with --format"));
  EXPECT_THAT(refusal({"text", "1"}), HasSubstr("no column for the label; "));
}

TEST(ColumnsTest, NamedTwiceOrUsedTwice) {
  EXPECT_EQ(refusal({"text", "Text", "label"}),
            "usage: data.tsv: two columns are named \"text\"; give the one that is meant by its number (columns found: "
            "\"text\", \"Text\", \"label\")");
  EXPECT_EQ(found({"text", "Text", "label"}, {.text = "2"}), "text=Text@1 label=label@2");
  EXPECT_EQ(refusal({"text", "label"}, {.text = "label"}),
            "usage: data.tsv: column 2 \"label\" is asked for as both text and label; each needs its own");
  EXPECT_THAT(refusal({"a", "b"}, {.text = "1", .text_pair = "1", .label = "2"}), HasSubstr("both text and text pair"));
  EXPECT_THAT(refusal({"a", "b"}, {.text = "1", .text_pair = "2", .label = "2"}),
              HasSubstr("both text pair and label"));
}

TEST(ColumnsTest, WithoutHeaderByNumberOnly) {
  EXPECT_EQ(found({"x", "text"}, {.text = "2", .label = "1", .header = Header::kNone}), "text=@1 label=@0");
  EXPECT_EQ(found({"alone"}, {.label_need = Need::kOptional, .header = Header::kNone}), "text=@0");
  EXPECT_EQ(refusal({"x", "text"}, {.header = Header::kNone}),
            "usage: data.tsv: which of its 2 columns holds the text? Without a header say it by number: --text N");
  EXPECT_EQ(
      refusal({"x", "y"}, {.text = "text", .header = Header::kNone}),
      "usage: data.tsv: there is no column \"text\" (--text); it has 2 columns and no header; give a number from 1 "
      "on");
}

TEST(ColumnsTest, Layouts) {
  EXPECT_EQ(found({"gj04", "1", "", "He left."}, {.layout = "cola"}), "text=@3 label=@1");
  EXPECT_EQ(found({"0", "Who ?"}, {.layout = "trec"}, TableFormat::kLabelSpace), "text=@1 label=@0");
  EXPECT_EQ(found({"#1 String", "Quality", "#2 String"}, {.layout = "mrpc"}),
            "text=#1 String@0 pair=#2 String@2 label=Quality@1");
  EXPECT_EQ(found({"id", "sentence"}, {.label_need = Need::kOptional, .layout = "imdb"}), "text=sentence@1");
  EXPECT_EQ(found({"a", "b", "c", "d"}, {.text = "3", .layout = "cola"}), "text=@2 label=@1");  // an option goes first
  EXPECT_THAT(refusal({"id", "sentence"}, {.layout = "imdb"}), HasSubstr("there is no column \"label\""));
  EXPECT_EQ(refusal({"a", "b"}, {.layout = "cola"}),
            "format: data.tsv line 1: layout \"cola\" has rows of 4 fields (TSV without header: source, label, mark, "
            "sentence), found 2");
  EXPECT_THAT(refusal({"a"}, {.layout = "colla"}),
              StartsWith("usage: unknown table layout \"colla\", did you mean cola?; there are lines, tsv, csv, jsonl, "
                         "and \"cola\", \"sst2\""));
}

TEST(ColumnsTest, LayoutTableIsSound) {
  for (const Layout& layout : layouts()) {
    EXPECT_EQ(&find_layout(layout.name), &layout);
    EXPECT_FALSE(layout.summary.empty()) << layout.name;
    EXPECT_EQ(layout.header == Header::kNone, layout.fields > 0) << layout.name;
  }
}

TEST(ColumnsTest, EmptyTables) {
  EXPECT_EQ(error_of([] { resolve_columns({}, TableFormat::kCsv, nullptr, "e.csv"); }),
            "format: e.csv: expected a header row with the columns' names, found an empty file");
  EXPECT_EQ(error_of([] { resolve_columns({.header = Header::kNone}, TableFormat::kCsv, nullptr, "e.csv"); }),
            "no error");
  EXPECT_EQ(error_of([] { resolve_columns({}, TableFormat::kJsonl, nullptr, "e.jsonl"); }), "no error");
}

TEST(ColumnsTest, PlainTextHasNoColumns) {
  EXPECT_EQ(resolve_columns(kNoLabel, TableFormat::kLines, nullptr, "a.txt").text.index, 0u);
  const auto error = [](const ColumnOptions& options) {
    return error_of([&] { resolve_columns(options, TableFormat::kLines, nullptr, "a.txt"); });
  };
  EXPECT_EQ(error({}),
            "usage: a.txt: read as plain text, a text a line, it has no columns and so no label; say what it is by its "
            "extension (.tsv, .csv, .jsonl) or by --format");
  EXPECT_THAT(error({.text = "sentence", .label_need = Need::kIgnored}), HasSubstr("no column of that name"));
  EXPECT_THAT(error({.text_pair_need = Need::kRequired, .label_need = Need::kIgnored}), HasSubstr("so no text pair"));
}

TEST(ColumnNamesTest, QuotedListIsShort) {
  EXPECT_EQ(quoted_list({}), "none");
  const std::vector<std::string> chinese = {std::string(39, 'a') + "标题", "b"};
  EXPECT_EQ(quoted_list(chinese), "\"" + std::string(39, 'a') + "…\", \"b\"");
  const std::vector<std::string> many(23, "x");
  EXPECT_THAT(quoted_list(many), testing::EndsWith("\"x\" and 3 more"));
}

}  // namespace
}  // namespace cloze
