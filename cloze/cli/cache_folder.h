// Where `cloze pretrain` keeps its token caches.
#pragma once

#include <optional>

#include "cloze/base/temporary_folder.h"

namespace cloze::cli {

/// As asked; else OUTPUT/cache; else, in a rehearsal, which is to leave nothing, a folder of the moment. Goes away with
/// this object where it is of the moment, or new and empty (after an error), and so does a new and empty OUTPUT.
class CacheFolder {
 public:
  /// `asked` and `output` may be empty. Errors: kIo where there is no place for a folder of the moment.
  CacheFolder(const Path& asked, const Path& output, bool rehearsal);
  ~CacheFolder();
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;

  const Path& path() const { return path_; }
  bool is_temporary() const { return temporary_.has_value(); }

 private:
  Path output_, path_;
  std::optional<TemporaryFolder> temporary_;
  bool was_there_ = false, output_was_there_ = false;
};

}  // namespace cloze::cli
