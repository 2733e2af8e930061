#include "cloze/base/file.h"

#include <fstream>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using test::SlowBytes;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(AtomicFileTest, AppearsWholeAtCommit) {
  const TemporaryFolder folder;
  const Path path = folder.write("a.txt", "old");
  {
    AtomicFile file(path);
    file.write("new ");
    file.write("content");
    EXPECT_EQ(read_file(path), "old");
    file.commit();
  }
  EXPECT_EQ(read_file(path), "new content");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a.txt"));
}

TEST(AtomicFileTest, WithoutCommitNothingStays) {
  const TemporaryFolder folder;
  { AtomicFile(folder.path() / "a.txt").write("half"); }
  try {
    AtomicFile file(folder.path() / "b.txt");
    file.write("half");
    fail(ErrorCode::kInternal, "in between");
  } catch (const Error&) {
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre());
}

TEST(AtomicFileTest, RefusesFoldersAndMissingFolders) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { write_file(folder.path(), "x"); }),
            fmt::format("io: cannot write {}: a folder of that name stands there", folder.path().string()));
  EXPECT_EQ(error_of([&] { write_file(folder.path() / "none" / "a", "x"); }),
            fmt::format("io: cannot write {}/none/a: No such file or directory", folder.path().string()));
}

TEST(AtomicFileTest, WritesBytesAndEmptyFiles) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path() / "a.bin");
  const std::byte bytes[] = {std::byte{0}, std::byte{255}, std::byte{10}};
  file.write(bytes);
  file.commit();
  EXPECT_EQ(read_file(folder.path() / "a.bin"), std::string("\0\xFF\n", 3));
  write_file(folder.path() / "empty", "");
  EXPECT_EQ(read_file(folder.path() / "empty"), "");
}

TEST(ReadFileTest, MissingFolderAndTooLarge) {
  const TemporaryFolder folder;
  const Path path = folder.write("a.txt", "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_EQ(error_of([&] { read_file(path, 4); }),
            fmt::format("format: {} is larger than the 4 bytes allowed for it", path.string()));
  EXPECT_THAT(error_of([&] { read_file(folder.path() / "none"); }), StartsWith("not found: cannot open"));
  EXPECT_THAT(error_of([&] { read_file(path / "below"); }), StartsWith("not found: cannot open"));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }), HasSubstr("expected a file, found a folder"));
}

TEST(MappedFileTest, MapsPrivately) {
  const TemporaryFolder folder;
  const Path path = folder.write("a.bin", "abc");
  const std::shared_ptr<MappedFile> file = MappedFile::open(path);
  ASSERT_EQ(file->bytes().size(), 3u);
  EXPECT_EQ(file->path(), path);
  EXPECT_EQ(file->bytes()[2], std::byte{'c'});
  file->bytes()[0] = std::byte{'X'};
  EXPECT_EQ(read_file(path), "abc");  // copy on write
}

TEST(MappedFileTest, EmptyMissingAndFolder) {
  const TemporaryFolder folder;
  EXPECT_TRUE(MappedFile::open(folder.write("empty", ""))->bytes().empty());
  EXPECT_THAT(error_of([&] { MappedFile::open(folder.path() / "none"); }), StartsWith("not found: cannot open"));
  EXPECT_THAT(error_of([&] { MappedFile::open(folder.path()); }), HasSubstr("expected a file, found a folder"));
}

TEST(MakeFolderTest, MakesParentsAndRefusesFiles) {
  const TemporaryFolder folder;
  make_folder(folder.path() / "a" / "b");
  make_folder(folder.path() / "a" / "b");
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "b"));
  const Path file = folder.write("file", "");
  EXPECT_THAT(error_of([&] { make_folder(file); }), StartsWith("io: cannot create the folder"));
  EXPECT_THAT(error_of([&] { make_folder(file / "below"); }), StartsWith("io: cannot create the folder"));
}

std::vector<std::string> lines_of(const std::string& content, size_t step = 1 << 20) {
  LineReader reader(std::make_unique<SlowBytes>(content, step));
  std::vector<std::string> lines;
  while (const auto line = reader.next()) {
    lines.emplace_back(*line);
    EXPECT_EQ(reader.line_number(), std::ssize(lines));
  }
  EXPECT_FALSE(reader.next().has_value());  // the end stays the end
  return lines;
}

TEST(LineReaderTest, RowsAndTheirEnds) {
  EXPECT_THAT(lines_of(""), ElementsAre());
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of("a"), ElementsAre("a"));
  EXPECT_THAT(lines_of("a\nb\n"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("a\n\n\nb"), ElementsAre("a", "", "", "b"));
  EXPECT_THAT(lines_of("a\r\n\r\nb\rc\r\r\n"), ElementsAre("a", "", "b\rc\r"));  // one '\r', at the end only
  EXPECT_THAT(lines_of(std::string("a\0b\n", 4)), ElementsAre(std::string("a\0b", 3)));
}

TEST(LineReaderTest, BlocksDoNotMatter) {
  std::string content;
  for (int i = 0; i < 300; ++i)
    content += std::string(static_cast<size_t>(i * 7), static_cast<char>('a' + i % 26)) + (i % 3 == 0 ? "\r\n" : "\n");
  const std::vector<std::string> whole = lines_of(content);
  EXPECT_EQ(whole.size(), 300u);
  for (const size_t step : {1, 2, 4095}) EXPECT_EQ(lines_of(content, step), whole);
}

TEST(LineReaderTest, LongLines) {
  const std::string longer(5 << 20, 'x');
  EXPECT_THAT(lines_of("a\n" + longer + "\nb"), ElementsAre("a", longer, "b"));
}

TEST(LineReaderTest, ReadyMeansAWholeRow) {
  LineReader reader(std::make_unique<SlowBytes>("a\nb\ncd", 5));
  EXPECT_FALSE(reader.ready());
  EXPECT_EQ(reader.next(), "a");
  EXPECT_TRUE(reader.ready());
  EXPECT_EQ(reader.next(), "b");
  EXPECT_FALSE(reader.ready());
  EXPECT_EQ(reader.next(), "cd");
}

TEST(ByteReaderTest, GzipIsUnpacked) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 100000; ++i) content += fmt::format("row {}\n", i);
  LineReader reader(folder.write_gzip("a.gz", content));
  std::string found;
  while (const auto line = reader.next()) found += std::string(*line) + "\n";
  EXPECT_EQ(found, content);
}

TEST(ByteReaderTest, BrokenGzipIsAnError) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 100000; ++i) content += fmt::format("row {}\n", i * 7919 % 100003);
  std::string packed = read_file(folder.write_gzip("a.gz", content));
  const auto read_all = [&](const std::string& bytes) {
    return error_of([&] {
      LineReader reader(folder.write("b.gz", bytes));
      while (reader.next()) {
      }
    });
  };
  EXPECT_EQ(read_all(packed), "no error");
  for (const size_t cut : {packed.size() - 1, packed.size() - 8, packed.size() / 2, size_t{12}, size_t{5}}) {
    EXPECT_THAT(read_all(packed.substr(0, cut)), HasSubstr("b.gz is not a whole gzip file")) << cut;
  }
  packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x40);
  EXPECT_THAT(read_all(packed), StartsWith("format: "));
}

TEST(ByteReaderTest, GzipErrorsDoNotDependOnHowMuchIsReadAtATime) {
  // Its last bits say "too far back", and wait inside zlib while the output is full.
  const TemporaryFolder folder;
  const std::string_view bytes(
      "\x1f\x8b\x08\x00\x00\x1f\x8b\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xf5\xf5\xf5\xf5\xf5\xf5\xf5\xf5\x22\x34\x10"
      "\x01",
      28);
  const Path path = folder.write("a.gz", bytes);
  for (const size_t step : {1, 7, 4096}) {
    EXPECT_THAT(error_of([&] {
                  const auto reader = ByteReader::open(path);
                  std::string block(step, ' ');
                  while (reader->read(block) > 0) {
                  }
                }),
                HasSubstr("invalid distance too far back"))
        << step;
  }
}

TEST(ByteReaderTest, GzipMembersPaddingAndWhatFollows) {
  const TemporaryFolder folder;
  const std::string a = read_file(folder.write_gzip("a.gz", "one\ntwo\n")),
                    b = read_file(folder.write_gzip("b.gz", "3\n"));
  const auto rows_of = [&](const std::string& bytes) {
    std::string rows;
    const std::string error = error_of([&] {
      LineReader reader(folder.write("c.gz", bytes));
      while (const auto row = reader.next()) rows += std::string(*row) + ",";
    });
    return rows + " " + error;
  };
  EXPECT_EQ(rows_of(a + b), "one,two,3, no error");
  EXPECT_EQ(rows_of(a + std::string(500000, '\0')), "one,two, no error");
  EXPECT_EQ(rows_of(a + std::string(500000, '\0') + b), "one,two,3, no error");
  EXPECT_EQ(rows_of(read_file(folder.write_gzip("d.gz", "")) + b), "3, no error");
  EXPECT_THAT(rows_of(a + "garbage"), HasSubstr("other bytes follow after the packed data"));
  EXPECT_THAT(rows_of(a + "\x1F"), HasSubstr("unexpected end"));
  EXPECT_THAT(rows_of(""), HasSubstr("is not a gzip file: it is empty"));
  EXPECT_THAT(rows_of("text"), HasSubstr("is not a gzip file, but its name ends in .gz"));
  std::string wrong = a;
  wrong[wrong.size() - 8] = static_cast<char>(wrong[wrong.size() - 8] ^ 1);
  EXPECT_THAT(rows_of(wrong), HasSubstr("incorrect data check"));
}

TEST(LineReaderTest, ARowWithoutEndIsStopped) {
  LineReader reader(std::make_unique<SlowBytes>("short\n" + std::string(300000, 'x'), 1 << 16), "data", 100000);
  EXPECT_EQ(reader.next(), "short");
  EXPECT_EQ(error_of([&] { reader.next(); }),
            "format: data line 2: a row longer than 100000 bytes; is it a text file?");
}

TEST(ByteReaderTest, MissingAndFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { ByteReader::open(folder.path() / "none.gz"); }), StartsWith("not found: cannot open"));
  EXPECT_THAT(error_of([&] { ByteReader::open(folder.path()); }), HasSubstr("expected a file, found a folder"));
}

}  // namespace
}  // namespace cloze
