#include "cloze/cli/cache_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cloze/base/error.h"

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
    std::error_code ignored;
    std::string name = (std::filesystem::temp_directory_path(ignored) / "cloze-tokens-XXXXXX").string();
    CLOZE_CHECK(::mkdtemp(name.data()) != nullptr, ErrorCode::kIo,
                "cannot create {} for the corpus's tokens: {}; give --cache-dir", name, std::strerror(errno));
    path_ = name;
    temporary_ = true;
  }
  was_there_ = is_there(path_);
  output_was_there_ = output.empty() || is_there(output);
}

CacheFolder::~CacheFolder() {
  std::error_code ignored;
  if (temporary_) std::filesystem::remove_all(path_, ignored);
  // This fails where there is something in them.
  if (!was_there_) std::filesystem::remove(path_, ignored);
  if (!output_was_there_) std::filesystem::remove(output_, ignored);
}

}  // namespace cloze::cli
