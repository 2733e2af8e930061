#include "cloze/base/memory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include "cloze/base/error.h"
#include "cloze/base/file.h"

namespace cloze {
namespace {

constexpr size_t kMostBytes = 1 << 16;

/// The file's content, or nothing where it cannot be read.
std::string content_of(const Path& path) {
  try {
    return read_file(path, kMostBytes);
  } catch (const Error&) {
    return "";
  }
}

/// The number that `text` begins with, blanks before it aside.
std::optional<int64_t> leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<int64_t> system_bytes() {
  const std::string info = content_of("/proc/meminfo");
  const size_t at = info.find("MemAvailable:");
  if (at == std::string::npos) return std::nullopt;
  const auto kilobytes = leading_number(std::string_view(info).substr(at + 13));
  return kilobytes ? std::optional(*kilobytes * 1024) : std::nullopt;
}

/// limit - use of one cgroup; nothing where it has no limit ("max", or a number beyond any memory).
std::optional<int64_t> group_bytes(const Path& limit_file, const Path& use_file) {
  const auto limit = leading_number(content_of(limit_file)), use = leading_number(content_of(use_file));
  if (!limit || !use || *limit >= int64_t{1} << 60) return std::nullopt;
  return std::max<int64_t>(0, *limit - *use);
}

}  // namespace

int64_t available_memory_bytes() {
  constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
  int64_t least = system_bytes().value_or(kUnknown);
  // Version 2: the process's own group and all above it; in a container they start at the root.
  const std::string groups = content_of("/proc/self/cgroup");
  const size_t at = groups.find("0::/");
  Path group = "/sys/fs/cgroup";
  if (at != std::string::npos) group /= groups.substr(at + 4, groups.find('\n', at) - at - 4);
  for (; group.string().starts_with("/sys/fs/cgroup"); group = group.parent_path())
    least = std::min(least, group_bytes(group / "memory.max", group / "memory.current").value_or(kUnknown));
  const Path old = "/sys/fs/cgroup/memory";
  least = std::min(least, group_bytes(old / "memory.limit_in_bytes", old / "memory.usage_in_bytes").value_or(kUnknown));
  return least == kUnknown ? 0 : least;
}

}  // namespace cloze
