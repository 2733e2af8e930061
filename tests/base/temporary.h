// Files for one test, gone with it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>

#include "cloze/base/error.h"
#include "cloze/base/file.h"

namespace cloze::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() / fmt::format("cloze-test-{}-{}", ::getpid(), count++);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const Path& path() const { return path_; }

  Path write(std::string_view name, std::string_view content) const {
    write_file(path_ / name, content);
    return path_ / name;
  }

  Path write_gzip(std::string_view name, std::string_view content) const {
    const Path path = path_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    EXPECT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())), static_cast<int>(content.size()));
    gzclose(file);
    return path;
  }

 private:
  Path path_;
};

/// Bytes from memory, a few at a time, as a slow pipe gives them.
class SlowBytes : public ByteReader {
 public:
  SlowBytes(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}
  size_t read(std::span<char> out) override {
    const size_t n = std::min({step_, out.size(), bytes_.size() - at_});
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    return n;
  }

 private:
  std::string bytes_;
  size_t step_, at_ = 0;
};

/// Runs `work` and gives its cloze::Error as "code: message"; "no error" if there is none.
template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return fmt::format("{}: {}", error_code_name(error.code()), error.what());
  }
  return "no error";
}

/// The message of the cloze::Error with `code` that `work` must throw.
template <class Work>
std::string error_of(Work&& work, ErrorCode code) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace cloze::test
