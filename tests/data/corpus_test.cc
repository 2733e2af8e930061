// Corpora: where documents end, what is text, and parts of large documents.
#include "cloze/data/corpus.h"

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using test::TemporaryFolder;

/// All parts: lines between '|', with "/" after the end of a document.
std::string parts_of(const Path& path, DocumentForm form = DocumentForm::kBlankLine) {
  CorpusReader reader(path, form);
  std::string all;
  while (const std::optional<DocumentPart> part = reader.next()) {
    size_t begin = 0;
    for (const size_t end : part->line_ends) {
      all += part->text.substr(begin, end - begin) + "|";
      begin = end;
    }
    EXPECT_EQ(begin, part->text.size());
    if (part->ends) all += "/";
  }
  return all;
}

TEST(CorpusReader, BlankLinesEndDocuments) {
  const TemporaryFolder folder;
  EXPECT_EQ(parts_of(folder.write("a", "one\ntwo\n\nthree\n")), "one|two|/three|/");
  EXPECT_EQ(parts_of(folder.write("b", "\n \n one \n\t \v\n\n\ntwo")), " one |/two|/");
  EXPECT_EQ(parts_of(folder.write("c", "one\r\ntwo\r\n\r\nthree\r\n")), "one|two|/three|/") << "CRLF";
  EXPECT_EQ(parts_of(folder.write("d", "一\n　\n二\n　　三\n")), "一|/二|　　三|/") << "U+3000";
  EXPECT_EQ(parts_of(folder.write("e", "")), "");
  EXPECT_EQ(parts_of(folder.write("f", "\n \r\n\t\n")), "");
}

TEST(CorpusReader, OneLineADocument) {
  const TemporaryFolder folder;
  EXPECT_EQ(parts_of(folder.write("a", "one\ntwo\n\n \nthree"), DocumentForm::kLine), "one|/two|/three|/");
  EXPECT_EQ(parts_of(folder.write("b", "\n\n"), DocumentForm::kLine), "");
}

TEST(CorpusReader, LargeDocumentsComeInParts) {
  const TemporaryFolder folder;
  const std::string line(CorpusReader::kPartBytes / 4 + 1, 'x');
  std::string five, four;
  for (int i = 0; i < 5; ++i) five += line + "\n";
  for (int i = 0; i < 4; ++i) four += line + "\n";
  const auto shape_of = [&](const std::string& text) {
    CorpusReader reader(folder.write("a", text), DocumentForm::kBlankLine);
    std::string shape;
    while (const std::optional<DocumentPart> part = reader.next())
      shape += fmt::format("{}{}", part->line_ends.size(), part->ends ? "/" : "+");
    EXPECT_EQ(reader.bytes(), static_cast<int64_t>(text.size()));
    return shape;
  };
  EXPECT_EQ(shape_of(five + "\nlast\n"), "4+1/1/");
  EXPECT_EQ(shape_of(five), "4+1/");
  EXPECT_EQ(shape_of(four + five + "\n"), "4+4+1/");
  // Where the part is full at the document's end, the end comes all the same.
  EXPECT_EQ(shape_of(four + "\nlast\n"), "4+0/1/");
  EXPECT_EQ(shape_of(four + "\n\n\nlast\n"), "4+0/1/");
  EXPECT_EQ(shape_of(four), "4+0/");
}

TEST(CorpusReader, GzipAndCounts) {
  const TemporaryFolder folder;
  EXPECT_EQ(parts_of(folder.write_gzip("a.gz", "one\n\ntwo\n")), "one|/two|/");
  CorpusReader reader(folder.write("b", "caf\xC3\xA9 \xFF x\n\xE4\xB8\n"), DocumentForm::kLine);
  EXPECT_EQ(reader.next()->text, "café \uFFFD x");
  EXPECT_EQ(reader.next()->text, "\uFFFD");
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_EQ(reader.replaced(), 2);
  EXPECT_EQ(reader.bytes(), 13);
}

TEST(CorpusReader, WhatIsNotText) {
  const TemporaryFolder folder;
  const Path nul = folder.write("nul", std::string("good\n\nb\0d\n", 10));
  EXPECT_EQ(error_of([&] { parts_of(nul); }),
            "format: " + nul.string() + " line 3: a NUL byte; a corpus is text in UTF-8");
  // 101 sequences are one too many for a small file, but not for one of 1 MB.
  std::string bad = "good\n";
  for (int i = 0; i < 101; ++i) bad += "\xB1 ";
  const Path small = folder.write("small", bad);
  EXPECT_THAT(error_of([&] { parts_of(small); }),
              testing::HasSubstr("format: " + small.string() + " line 2: 101 sequences so far are not UTF-8"));
  const Path tolerated = folder.write("tolerated", bad.substr(0, bad.size() - 2));
  EXPECT_EQ(error_of([&] { parts_of(tolerated); }), "no error");
  const Path large = folder.write("large", std::string(1 << 20, 'x') + "\n" + bad);
  EXPECT_EQ(error_of([&] { parts_of(large); }), "no error");
}

TEST(CorpusReader, WhatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { parts_of(folder.path() / "none"); }), testing::HasSubstr("not found: "));
  EXPECT_THAT(error_of([&] { parts_of(folder.path()); }), testing::HasSubstr("io: "));
  EXPECT_EQ(parse_document_form("line"), DocumentForm::kLine);
  EXPECT_EQ(parse_document_form("blank-line"), DocumentForm::kBlankLine);
  EXPECT_THAT(error_of([] { parse_document_form("lines"); }), testing::HasSubstr("usage: --documents must be"));
}

}  // namespace
}  // namespace cloze
