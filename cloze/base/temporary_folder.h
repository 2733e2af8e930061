// A folder of the moment.
#pragma once

#include "cloze/base/file.h"

namespace cloze {

/// A new folder where the system keeps such ($TMPDIR, /tmp), which goes away with this object and all that is in it.
class TemporaryFolder {
 public:
  /// Errors: kIo.
  explicit TemporaryFolder(const std::string& name = "cloze");
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const Path& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace cloze
