#include "cloze/base/fields.h"

namespace cloze {

std::string describe_differences(const Json& before, const Json& now) {
  std::string lines;
  const auto shown = [](const Json& object, const std::string& key) {
    return object.contains(key) ? object[key].dump() : "absent";
  };
  for (const auto& [key, value] : now.items())
    if (shown(before, key) != value.dump())
      lines += fmt::format("  {}: was {}, is now {}\n", key, shown(before, key), value.dump());
  for (const auto& [key, value] : before.items())
    if (!now.contains(key)) lines += fmt::format("  {}: was {}, is now absent\n", key, value.dump());
  return lines;
}

}  // namespace cloze
