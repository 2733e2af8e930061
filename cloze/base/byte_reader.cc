#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/base/file.h"
#include "cloze/base/suggest.h"

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

/// Unpacks the members of a gzip file one after the other. zlib's own gzread would pass over bytes after the last one
/// in silence; zeros are allowed there, because tapes and some tools pad with them.
class GzipReader : public ByteReader {
 public:
  GzipReader(std::unique_ptr<ByteReader> packed, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)) {
    constexpr int kGzipOnly = 16;
    CLOZE_CHECK(inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, ErrorCode::kIo, "cannot read {}: out of memory",
                name_);
  }
  ~GzipReader() override { inflateEnd(&stream_); }

  size_t read(std::span<char> out) override {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      const bool more = stream_.avail_in > 0 || fill();
      CLOZE_CHECK(more || members_ > 0, ErrorCode::kFormat, "{} is not a gzip file: it is empty", name_);
      if (!inside_ && (!more || !begin_member())) return 0;
      // Also without more input: some bits may still wait inside.
      const int code = inflate(&stream_, Z_NO_FLUSH);
      CLOZE_CHECK(more || code != Z_BUF_ERROR, ErrorCode::kFormat,
                  "{} is not a whole gzip file: unexpected end; was its copying cut off?", name_);
      CLOZE_CHECK(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR, ErrorCode::kFormat,
                  "{} is not a whole gzip file: {}", name_, stream_.msg != nullptr ? stream_.msg : zError(code));
      inside_ = code != Z_STREAM_END;
    }
    return wanted - stream_.avail_out;
  }

 private:
  bool fill() {
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(packed_->read(buffer_));
    return stream_.avail_in > 0;
  }

  /// At the first byte of a member; false at the file's end after padding.
  bool begin_member() {
    constexpr Bytef kFirst = 0x1F;
    if (members_ == 0) {
      CLOZE_CHECK(*stream_.next_in == kFirst, ErrorCode::kFormat,
                  "{} is not a gzip file, but its name ends in .gz; rename it if it is not packed", name_);
    } else {
      do {
        while (stream_.avail_in > 0 && *stream_.next_in == 0) ++stream_.next_in, --stream_.avail_in;
      } while (stream_.avail_in == 0 && fill());
      if (stream_.avail_in == 0) return false;
      CLOZE_CHECK(
          *stream_.next_in == kFirst, ErrorCode::kFormat,
          "{} is not a whole gzip file: other bytes follow after the packed data; was it overwritten or joined?",
          name_);
      inflateReset(&stream_);
    }
    ++members_;
    inside_ = true;
    return true;
  }

  std::unique_ptr<ByteReader> packed_;
  std::string name_;
  std::vector<char> buffer_ = std::vector<char>(1 << 17);
  z_stream stream_{};
  int64_t members_ = 0;
  bool inside_ = false;  ///< of a member
};

}  // namespace

std::unique_ptr<ByteReader> ByteReader::open(const Path& path) {
  if (path == "-") return std::make_unique<PlainReader>(STDIN_FILENO, "standard input");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int why = errno;
  const bool missing = why == ENOENT || why == ENOTDIR;
  CLOZE_CHECK(descriptor >= 0, missing ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot open {}: {}{}", path.string(),
              std::strerror(why), missing ? missing_path_hint(path) : "");
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    fail(ErrorCode::kIo, "cannot read {}: expected a file, found a folder", path.string());
  }
  auto plain = std::make_unique<PlainReader>(descriptor, path.string());
  if (path.extension() == ".gz") return std::make_unique<GzipReader>(std::move(plain), path.string());
  return plain;
}

}  // namespace cloze
