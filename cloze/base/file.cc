#include "cloze/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"

namespace cloze {
namespace {

/// Opens for reading; refuses folders, which open(2) would accept.
int open_for_reading(const Path& path, struct stat& info) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const int why = errno;
    const bool missing = why == ENOENT || why == ENOTDIR;
    fail(missing ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot open {}: {}{}", path.string(), std::strerror(why),
         missing ? missing_path_hint(path) : "");
  }
  if (::fstat(descriptor, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    fail(ErrorCode::kIo, "cannot read {}: expected a file, found a folder", path.string());
  }
  return descriptor;
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const Path& path) {
  struct stat info {};
  const int descriptor = open_for_reading(path, info);
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<size_t>(info.st_size);
  if (file->size_ > 0) {
    void* data = ::mmap(nullptr, file->size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    const int why = errno;
    ::close(descriptor);
    if (data == MAP_FAILED) {
      file->size_ = 0;
      fail(ErrorCode::kIo, "cannot map {}: {}", path.string(), std::strerror(why));
    }
    file->data_ = static_cast<std::byte*>(data);
  } else {
    ::close(descriptor);
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::string read_file(const Path& path, size_t max_bytes) {
  struct stat info {};
  const int descriptor = open_for_reading(path, info);
  std::string content;
  char block[1 << 16];
  while (true) {
    const ssize_t n = ::read(descriptor, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    const int why = errno;
    if (n > 0) content.append(block, static_cast<size_t>(n));
    if (n <= 0 || content.size() > max_bytes) {
      ::close(descriptor);
      if (n < 0) fail(ErrorCode::kIo, "cannot read {}: {}", path.string(), std::strerror(why));
      CLOZE_CHECK(content.size() <= max_bytes, ErrorCode::kFormat, "{} is larger than the {} bytes allowed for it",
                  path.string(), max_bytes);
      return content;
    }
  }
}

std::optional<std::string_view> LineReader::next() {
  size_t searched = begin_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && begin_ < buffer_.size())) {
      const size_t stop = end == std::string::npos ? buffer_.size() : end;
      std::string_view row(buffer_.data() + begin_, stop - begin_);
      if (row.ends_with('\r')) row.remove_suffix(1);
      begin_ = end == std::string::npos ? buffer_.size() : end + 1;
      ++line_number_;
      return row;
    }
    if (ended_) return std::nullopt;
    if (begin_ > 0) {
      buffer_.erase(0, begin_);
      begin_ = 0;
    }
    CLOZE_CHECK(buffer_.size() <= most_bytes_, ErrorCode::kFormat,
                "{} line {}: a row longer than {} bytes; is it a text file?", name_, line_number_ + 1, most_bytes_);
    searched = buffer_.size();
    constexpr size_t kBlockBytes = 1 << 16;
    buffer_.resize(searched + kBlockBytes);
    const size_t n = bytes_->read({buffer_.data() + searched, kBlockBytes});
    buffer_.resize(searched + n);
    ended_ = n == 0;
  }
}

AtomicFile::AtomicFile(Path path) : path_(std::move(path)) {
  std::error_code ignored;
  CLOZE_CHECK(!path_.empty(), ErrorCode::kIo, "cannot write: the file has no name");
  // A link's target is replaced, not the link.
  if (std::filesystem::is_symlink(path_, ignored)) path_ = std::filesystem::weakly_canonical(path_, ignored);
  CLOZE_CHECK(!std::filesystem::is_other(path_, ignored), ErrorCode::kIo,
              "cannot write {}: it is a device, a pipe or a socket", path_.string());
  CLOZE_CHECK(!std::filesystem::is_directory(path_, ignored), ErrorCode::kIo,
              "cannot write {}: a folder of that name stands there", path_.string());
  static std::atomic<uint32_t> counter{0};
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}-{}", ::getpid(), counter++);
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  CLOZE_CHECK(descriptor_ >= 0, ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
}

void AtomicFile::close() noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

AtomicFile::~AtomicFile() {
  if (temporary_.empty()) return;
  close();
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    CLOZE_CHECK(n > 0, ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void AtomicFile::write_at(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    CLOZE_CHECK(n > 0, ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
    offset += static_cast<uint64_t>(n);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void AtomicFile::commit() {
  CLOZE_CHECK(::fsync(descriptor_) == 0, ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
  close();
  CLOZE_CHECK(::rename(temporary_.c_str(), path_.c_str()) == 0, ErrorCode::kIo, "cannot rename {} to {}: {}",
              temporary_.string(), path_.string(), std::strerror(errno));
  temporary_.clear();
  // The rename itself lasts only once the folder is on disk.
  const Path folder = path_.has_parent_path() ? path_.parent_path() : Path(".");
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

void write_file(const Path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void make_folder(const Path& path) {
  CLOZE_CHECK(!path.empty(), ErrorCode::kIo, "cannot create a folder: its name is empty");
  std::error_code error;
  std::filesystem::create_directories(path, error);
  CLOZE_CHECK(!error && std::filesystem::is_directory(path, error), ErrorCode::kIo, "cannot create the folder {}: {}",
              path.string(), error ? error.message() : "a file of that name stands there");
}

}  // namespace cloze
