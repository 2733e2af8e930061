// A folder that appears whole or not at all.
#pragma once

#include "cloze/base/file.h"

namespace cloze {

/// Makes the folder `PATH.tmp-PID`, to be filled; commit() renames it to PATH. Without commit() nothing stays behind.
class AtomicFolder {
 public:
  /// Errors: kUsage if PATH is there already (a file or a folder, an empty one too); kIo.
  explicit AtomicFolder(Path path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// What it becomes: PATH without a slash at its end.
  const Path& target() const { return path_; }
  /// Where to write.
  const Path& path() const { return temporary_; }
  void commit();

 private:
  Path path_, temporary_;
  bool committed_ = false;
};

}  // namespace cloze
