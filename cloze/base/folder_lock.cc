#include "cloze/base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cloze/base/error.h"

namespace cloze {
namespace {

/// "model.safetensors.tmp-123-4"
bool is_unfinished(const std::string& name) {
  const size_t at = name.rfind(".tmp-");
  if (at == std::string::npos || at == 0) return false;
  const std::string tail = name.substr(at + 5);
  const size_t dash = tail.find('-');
  if (dash == std::string::npos || dash == 0 || dash + 1 == tail.size()) return false;
  return tail.find_first_not_of("0123456789-") == std::string::npos && tail.find('-', dash + 1) == std::string::npos;
}

}  // namespace

FolderLock::FolderLock(const Path& folder, Busy busy) {
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CLOZE_CHECK(descriptor_ >= 0, ErrorCode::kIo, "cannot open the folder {}: {}", folder.string(), std::strerror(errno));
  const int how = busy == Busy::kWait ? LOCK_EX : LOCK_EX | LOCK_NB;
  int failed = 0;
  do failed = ::flock(descriptor_, how);
  while (failed != 0 && errno == EINTR);
  if (failed != 0) {
    const int why = errno;
    ::close(descriptor_);
    descriptor_ = -1;
    CLOZE_CHECK(why != EWOULDBLOCK, ErrorCode::kUsage,
                "{}: another process is writing there; wait for its end, or choose another folder", folder.string());
    return;  // a file system without locks
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (is_unfinished(entry.path().filename().string())) std::filesystem::remove(entry.path(), ignored);
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace cloze
