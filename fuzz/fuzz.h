// What the fuzz programs share. Each has one rule: whatever the input is, the library succeeds or throws cloze::Error,
// and what it promises beside that holds. Anything else ends the program, and libFuzzer keeps the input.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloze/base/error.h"
#include "cloze/base/file.h"
#include "cloze/base/utf8.h"

/// Ends the program unless `condition` holds. The message's arguments are evaluated only on failure.
#define FUZZ_CHECK(condition, ...)                                                                                \
  do {                                                                                                            \
    if (!(condition))                                                                                             \
      ::cloze::fuzz::stop(fmt::format("{}:{}: {}: ", __FILE__, __LINE__, #condition) + fmt::format(__VA_ARGS__)); \
  } while (false)

namespace cloze::fuzz {

[[noreturn]] inline void stop(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

/// An error's message is for people: valid UTF-8 of bounded length, whatever the file holds. An internal error is a
/// bug.
inline void check_message(const Error& error) {
  constexpr size_t kMostBytes = 4000;
  const std::string_view text = error.what();
  FUZZ_CHECK(error.code() != ErrorCode::kInternal, "{}", text);
  FUZZ_CHECK(!text.empty() && text.size() <= kMostBytes, "a message of {} bytes: {}", text.size(), text);
  FUZZ_CHECK(find_invalid_utf8(text) == std::string_view::npos, "not UTF-8: {}", text);
}

/// Runs `work`: "" when it succeeds, else "code: message" of its Error. Other exceptions pass, which is a finding.
template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    check_message(error);
    return fmt::format("{}: {}", error_code_name(error.code()), error.what());
  }
  return "";
}

/// The input, of which the first bytes choose options and the rest is the text.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  /// The next byte; 0 when there is none.
  unsigned byte() {
    if (rest_.empty()) return 0;
    const unsigned value = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Bytes from memory, at most `step` at a time, as a slow pipe gives them.
class MemoryBytes : public ByteReader {
 public:
  explicit MemoryBytes(std::string_view bytes, size_t step = SIZE_MAX) : rest_(bytes), step_(step) {}
  size_t read(std::span<char> out) override {
    const size_t n = std::min({step_, out.size(), rest_.size()});
    std::copy_n(rest_.begin(), n, out.begin());
    rest_.remove_prefix(n);
    return n;
  }

 private:
  std::string_view rest_;
  size_t step_;
};

/// A file that never touches a disk, written anew for each input, for what the library reads only by name.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)), path_(fmt::format("/proc/self/fd/{}", descriptor_)) {
    FUZZ_CHECK(descriptor_ >= 0, "memfd_create failed");
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const Path& path() const { return path_; }
  /// Nothing of the old content may still be mapped.
  const Path& write(std::string_view content) const {
    const bool good = ::ftruncate(descriptor_, 0) == 0 &&
                      ::pwrite(descriptor_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size());
    FUZZ_CHECK(good, "cannot write {} bytes to memory", content.size());
    return path_;
  }

 private:
  int descriptor_;
  Path path_;
};

/// A folder in memory (/dev/shm) that goes with the program, for what the library knows by the file's name.
class MemoryFolder {
 public:
  MemoryFolder() {
    char name[] = "/dev/shm/cloze-fuzz-XXXXXX";
    FUZZ_CHECK(::mkdtemp(name) != nullptr, "cannot make a folder in /dev/shm");
    path_ = name;
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace cloze::fuzz
