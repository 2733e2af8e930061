#include "cloze/cli/cache_folder.h"

namespace cloze::cli {
namespace {

bool is_there(const Path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

CacheFolder::CacheFolder(const Path& asked, const Path& output, bool rehearsal) : output_(output) {
  const Path beside = output / "cache";
  if (!asked.empty()) {
    path_ = asked;
  } else if (!rehearsal || (!output.empty() && is_there(beside))) {
    path_ = beside;
  } else {
    path_ = temporary_.emplace("cloze-tokens").path();
  }
  was_there_ = is_there(path_);
  output_was_there_ = output.empty() || is_there(output);
}

CacheFolder::~CacheFolder() {
  std::error_code ignored;
  temporary_.reset();
  // This fails where there is something in them.
  if (!was_there_) std::filesystem::remove(path_, ignored);
  if (!output_was_there_) std::filesystem::remove(output_, ignored);
}

}  // namespace cloze::cli
