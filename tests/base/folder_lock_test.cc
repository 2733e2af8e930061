#include "cloze/base/folder_lock.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "temporary.h"

namespace cloze {
namespace {

using test::error_of;
using test::TemporaryFolder;

TEST(FolderLock, KeepsASecondWriterOutUntilItGoes) {
  const TemporaryFolder folder;
  {
    const FolderLock first(folder.path());
    // flock belongs to the open file, so a second one in the same process is kept out too.
    EXPECT_THAT(error_of([&] { const FolderLock second(folder.path()); }),
                testing::HasSubstr("another process is writing there"));
  }
  EXPECT_EQ(error_of([&] { const FolderLock third(folder.path()); }), "no error");
}

TEST(FolderLock, WaitsWhereItIsTold) {
  const TemporaryFolder folder;
  auto first = std::make_unique<FolderLock>(folder.path());
  std::atomic<bool> released{false};
  std::thread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    released = true;
    first.reset();
  });
  const FolderLock second(folder.path(), FolderLock::Busy::kWait);
  EXPECT_TRUE(released);
  holder.join();
}

TEST(FolderLock, RemovesWhatAKilledProcessLeftAndNothingElse) {
  const TemporaryFolder folder;
  const char* ours[] = {"model.safetensors.tmp-123-4", "run.json.tmp-1-0"};
  const char* theirs[] = {"model.safetensors", "notes.tmp", "a.tmp-1", "b.tmp-x-1",
                          "c.tmp-1-2-3",       ".tmp-1-2",  "d.tmp-1-"};
  for (const char* name : ours) folder.write(name, "x");
  for (const char* name : theirs) folder.write(name, "x");
  const FolderLock lock(folder.path());
  for (const char* name : ours) EXPECT_FALSE(std::filesystem::exists(folder.path() / name)) << name;
  for (const char* name : theirs) EXPECT_TRUE(std::filesystem::exists(folder.path() / name)) << name;
}

TEST(FolderLock, NeedsAFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { const FolderLock lock(folder.path() / "absent"); }),
              testing::HasSubstr("cannot open the folder"));
}

}  // namespace
}  // namespace cloze
