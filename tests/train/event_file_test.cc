#include "cloze/train/event_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

namespace cloze {
namespace {

using namespace std::string_view_literals;

TEST(Crc32c, KnownValues) {
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventFile, GoldenBytes) {
  // Made by hand from the format: 24 bytes of version, 35 of one scalar; the sums by an independent CRC-32C.
  std::string pattern = (std::filesystem::temp_directory_path() / "cloze-events-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  EventFile file(pattern, [] { return 1.5; });
  const std::pair<std::string, double> values[] = {{"dev/accuracy", 0.75}};
  file.add(300, values);
  const std::string bytes = read_file(file.path());
  std::filesystem::remove_all(pattern);
  // clang-format off
  const std::string golden(
      "\x18\0\0\0\0\0\0\0" "\xA3\x7F\x4B\x22"
      "\x09\0\0\0\0\0\0\xF8\x3F" "\x1A\x0D" "brain.Event:2" "\x2A\x28\x64\x6C"
      "\x23\0\0\0\0\0\0\0" "\xB0\x9F\x77\x43"
      "\x09\0\0\0\0\0\0\xF8\x3F" "\x10\xAC\x02" "\x2A\x15\x0A\x13\x0A\x0C" "dev/accuracy" "\x15\0\0\x40\x3F" "\xAC\x30\xE6\x05"sv);
  // clang-format on
  EXPECT_EQ(bytes, golden);
}

}  // namespace
}  // namespace cloze
