#include "cloze/base/temporary_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cloze/base/error.h"

namespace cloze {

TemporaryFolder::TemporaryFolder(const std::string& name) {
  std::error_code ignored;
  std::string pattern = (std::filesystem::temp_directory_path(ignored) / (name + "-XXXXXX")).string();
  CLOZE_CHECK(::mkdtemp(pattern.data()) != nullptr, ErrorCode::kIo, "cannot create {}: {}", pattern,
              std::strerror(errno));
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace cloze
