#include "cloze/base/fields.h"

namespace cloze {

namespace {

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void add_differences(const Json& before, const Json& now, const std::string& prefix, std::string& lines) {
  for (const auto& [key, value] : now.items()) {
    const auto old = before.find(key);
    if (old == before.end())
      lines += fmt::format("  {}{}: was absent, is now {}\n", prefix, key, shown(value));
    else if (old->is_object() && value.is_object())
      add_differences(*old, value, prefix + key + ".", lines);
    else if (shown(*old) != shown(value))
      lines += fmt::format("  {}{}: was {}, is now {}\n", prefix, key, shown(*old), shown(value));
  }
  for (const auto& [key, value] : before.items())
    if (!now.contains(key)) lines += fmt::format("  {}{}: was {}, is now absent\n", prefix, key, shown(value));
}

}  // namespace

std::string describe_differences(const Json& before, const Json& now) {
  std::string lines;
  add_differences(before, now, "", lines);
  return lines;
}

}  // namespace cloze
