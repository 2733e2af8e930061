// One process at a time in an output folder.
#pragma once

#include <cstdint>

#include "cloze/base/file.h"

namespace cloze {

/// Holds the folder (flock on the folder itself, so no file is left) until destruction or the process's end, and
/// removes the unfinished files that a killed process left there: `NAME.tmp-PID-COUNT` of AtomicFile. On file systems
/// without locks it holds nothing and removes nothing.
class FolderLock {
 public:
  enum class Busy : uint8_t { kRefuse, kWait };
  /// Errors: kUsage where another process holds it, unless told to wait for its end; kIo where the folder cannot be
  /// opened.
  explicit FolderLock(const Path& folder, Busy busy = Busy::kRefuse);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace cloze
