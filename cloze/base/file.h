// Files: mapped reading, reading as a stream (plain, gzip, stdin), and writing that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cloze {

using Path = std::filesystem::path;

/// A whole file in memory by mmap, private: writes to it stay in this process (copy on write).
class MappedFile {
 public:
  /// Errors: kNotFound, kIo (a directory, no permission). An empty file maps to an empty span.
  static std::shared_ptr<MappedFile> open(const Path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }
  const Path& path() const { return path_; }

 private:
  MappedFile() = default;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Path path_;
};

/// The whole content. Errors: kNotFound, kIo; kFormat when the file is larger than `max_bytes`.
std::string read_file(const Path& path, size_t max_bytes = size_t{1} << 32);

/// A stream of bytes from a file, from a `.gz` file (unpacked on the way), or from stdin (path "-").
class ByteReader {
 public:
  /// Errors: kNotFound, kIo.
  static std::unique_ptr<ByteReader> open(const Path& path);
  virtual ~ByteReader() = default;
  /// Fills up to out.size() bytes, blocking until at least one is there; 0 at the end.
  /// Errors: kIo; kFormat for broken or truncated gzip.
  virtual size_t read(std::span<char> out) = 0;
};

/// Rows of a text stream: they end at '\n', one trailing '\r' is dropped, empty lines are rows. A last line without
/// '\n' is a row if it is not empty. NUL bytes are ordinary bytes.
class LineReader {
 public:
  static constexpr size_t kMostBytes = size_t{1} << 28;

  explicit LineReader(const Path& path)
      : LineReader(ByteReader::open(path), path == "-" ? "standard input" : path.string()) {}
  /// `name` stands for the stream in errors. A row longer than `most_bytes` is an error: zeros without end, or a small
  /// gzip file that unpacks to terabytes, must not take all memory.
  explicit LineReader(std::unique_ptr<ByteReader> bytes, std::string name = "the input", size_t most_bytes = kMostBytes)
      : bytes_(std::move(bytes)), name_(std::move(name)), most_bytes_(most_bytes) {}
  /// The next row, valid until the next call; nullopt at the end. Errors: kFormat for a row that is too long.
  std::optional<std::string_view> next();
  /// 1-based number of the row that next() returned last.
  int64_t line_number() const { return line_number_; }
  /// True when a whole further row already stands in the buffer, so that next() will not block.
  bool ready() const { return buffer_.find('\n', begin_) != std::string::npos; }

 private:
  std::unique_ptr<ByteReader> bytes_;
  std::string name_, buffer_;
  size_t most_bytes_;
  size_t begin_ = 0;
  int64_t line_number_ = 0;
  bool ended_ = false;
};

/// Writes `PATH.tmp-PID-COUNT`, and at commit() fsyncs it and renames it to PATH. Without commit() nothing stays
/// behind.
class AtomicFile {
 public:
  /// Errors: kIo (folder missing, read-only, no permission).
  explicit AtomicFile(Path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void write(std::span<const std::byte> bytes) { write({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); }
  /// Replaces bytes that were written before, e.g. a count in a header that is known only in the end.
  void write_at(uint64_t offset, std::string_view bytes);
  void commit();

 private:
  void close() noexcept;
  Path path_, temporary_;
  int descriptor_ = -1;
};

/// AtomicFile in one call.
void write_file(const Path& path, std::string_view content);

/// Creates the folder and its parents. Errors: kIo, among them "a file of that name stands there".
void make_folder(const Path& path);

}  // namespace cloze
