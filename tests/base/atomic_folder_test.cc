// A folder that appears whole or not at all.
#include "cloze/base/atomic_folder.h"

#include "tests/base/temporary.h"

namespace cloze {
namespace {

TEST(AtomicFolder, AppearsAtCommit) {
  const test::TemporaryFolder place;
  const Path path = place.path() / "deep" / "new/";
  AtomicFolder folder(path);
  write_file(folder.path() / "a", "text");
  EXPECT_FALSE(std::filesystem::exists(path));
  folder.commit();
  EXPECT_EQ(read_file(place.path() / "deep" / "new" / "a"), "text");
  EXPECT_FALSE(std::filesystem::exists(folder.path()));
}

TEST(AtomicFolder, LeavesNothingWithoutCommit) {
  const test::TemporaryFolder place;
  {
    AtomicFolder folder(place.path() / "new");
    write_file(folder.path() / "a", "text");
  }
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST(AtomicFolder, RefusesWhatIsThere) {
  const test::TemporaryFolder place;
  const Path file = place.write("file", "");
  EXPECT_THAT(test::error_of([&] { AtomicFolder folder(file); }), ::testing::HasSubstr("is there already"));
  EXPECT_THAT(test::error_of([&] { AtomicFolder folder(place.path()); }), ::testing::HasSubstr("usage: "));
}

}  // namespace
}  // namespace cloze
