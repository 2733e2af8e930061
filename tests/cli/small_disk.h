// A disk that is soon full.
#pragma once

#include <fmt/format.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "cloze/base/file.h"

namespace cloze::test {

/// A small file system of its own at a folder; `why` says why there is none.
class SmallDisk {
 public:
  SmallDisk(const Path& at, int64_t kilobytes) : at_(at) {
    make_folder(at);
    const std::string options = fmt::format("size={}k", kilobytes);
    if (::mount("tmpfs", at.c_str(), "tmpfs", 0, options.c_str()) != 0) why = std::strerror(errno);
  }
  ~SmallDisk() { ::umount2(at_.c_str(), MNT_DETACH); }
  bool make_read_only() { return ::mount("tmpfs", at_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0; }
  std::string why;

 private:
  Path at_;
};

}  // namespace cloze::test
