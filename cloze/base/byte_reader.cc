#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cloze/base/error.h"
#include "cloze/base/file.h"

namespace cloze {
namespace {

class PlainReader : public ByteReader {
 public:
  PlainReader(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  ~PlainReader() override {
    if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  }
  size_t read(std::span<char> out) override {
    while (true) {
      const ssize_t n = ::read(descriptor_, out.data(), out.size());
      if (n >= 0) return static_cast<size_t>(n);
      CLOZE_CHECK(errno == EINTR, ErrorCode::kIo, "cannot read {}: {}", name_, std::strerror(errno));
    }
  }

 private:
  int descriptor_;
  std::string name_;
};

class GzipReader : public ByteReader {
 public:
  GzipReader(int descriptor, std::string name) : file_(gzdopen(descriptor, "rb")), name_(std::move(name)) {
    if (file_ == nullptr) {
      ::close(descriptor);
      fail(ErrorCode::kIo, "cannot read {}: out of memory", name_);
    }
    gzbuffer(file_, 1 << 17);
  }
  ~GzipReader() override { gzclose(file_); }
  size_t read(std::span<char> out) override {
    const unsigned most = static_cast<unsigned>(std::min<size_t>(out.size(), 1 << 30));
    const int n = gzread(file_, out.data(), most);
    int code = Z_OK;
    const char* why = gzerror(file_, &code);
    CLOZE_CHECK(code != Z_ERRNO, ErrorCode::kIo, "cannot read {}: {}", name_, std::strerror(errno));
    // zlib would pass on a file without gzip's first bytes as it is, an empty one among them.
    CLOZE_CHECK(gzdirect(file_) == 0, ErrorCode::kFormat, "{} is not a gzip file", name_);
    // A truncated file shows as Z_BUF_ERROR, after the bytes that could still be unpacked.
    CLOZE_CHECK(n >= 0 && (code == Z_OK || code == Z_STREAM_END), ErrorCode::kFormat, "{} is not a whole gzip file: {}",
                name_, why);
    return static_cast<size_t>(n);
  }

 private:
  gzFile file_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ByteReader> ByteReader::open(const Path& path) {
  if (path == "-") return std::make_unique<PlainReader>(STDIN_FILENO, "standard input");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int why = errno;
  CLOZE_CHECK(descriptor >= 0, why == ENOENT || why == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
              "cannot open {}: {}", path.string(), std::strerror(why));
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    fail(ErrorCode::kIo, "cannot read {}: expected a file, found a folder", path.string());
  }
  if (path.extension() == ".gz") return std::make_unique<GzipReader>(descriptor, path.string());
  return std::make_unique<PlainReader>(descriptor, path.string());
}

}  // namespace cloze
