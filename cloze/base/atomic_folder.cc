#include "cloze/base/atomic_folder.h"

#include <unistd.h>

#include "cloze/base/error.h"

namespace cloze {

AtomicFolder::AtomicFolder(Path path) : path_(std::move(path)) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // "folder/"
  std::error_code error;
  CLOZE_CHECK(!path_.empty(), ErrorCode::kUsage, "the output folder's name is empty");
  CLOZE_CHECK(std::filesystem::symlink_status(path_, error).type() == std::filesystem::file_type::not_found,
              ErrorCode::kUsage, "{} is there already; give a new folder, or remove it", path_.string());
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}", ::getpid());
  make_folder(temporary_);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot rename {} to {}: {}", temporary_.string(), path_.string(),
              error.message());
  committed_ = true;
}

}  // namespace cloze
