// Helpers of the tests in this folder: folders that clean up, files built from literal bytes, errors with their words.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "cloze/base/error.h"
#include "cloze/base/file.h"

namespace cloze {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "cloze-io-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  Path operator/(std::string_view name) const { return path_ / name; }
  const Path& path() const { return path_; }

 private:
  Path path_;
};

/// The bytes of a safetensors file: the header's length as given (by default its real one), the header, the data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data, int64_t announced = -1) {
  const uint64_t length = announced < 0 ? header.size() : static_cast<uint64_t>(announced);
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data);
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// `action` throws cloze::Error of `code` whose message holds each of `words`.
template <class Action>
void expect_error(ErrorCode code, std::initializer_list<std::string_view> words, Action&& action) {
  try {
    action();
    ADD_FAILURE() << "expected an error (" << error_code_name(code) << ")";
  } catch (const Error& error) {
    EXPECT_STREQ(error_code_name(error.code()), error_code_name(code)) << error.what();
    for (const std::string_view word : words) EXPECT_THAT(error.what(), ::testing::HasSubstr(std::string(word)));
  }
}

}  // namespace cloze
