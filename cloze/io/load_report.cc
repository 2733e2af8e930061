#include "cloze/io/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace cloze {
namespace {

std::string pattern_of(std::string_view name) {
  std::string pattern;
  while (true) {
    const size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    const bool number = !part.empty() && std::ranges::all_of(part, [](char c) { return '0' <= c && c <= '9'; });
    pattern += number ? "*" : part;
    if (dot == std::string_view::npos) return pattern;
    pattern += '.';
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::string shorten_names(const std::vector<std::string>& names, size_t longest) {
  struct Group {
    std::string shown;
    size_t count;
  };
  std::vector<Group> groups;
  std::map<std::string, size_t> by_pattern;
  for (const std::string& name : names) {
    std::string pattern = pattern_of(name);
    const auto [it, fresh] = by_pattern.emplace(pattern, groups.size());
    if (fresh) {
      groups.push_back({.shown = name, .count = 1});
    } else {
      groups[it->second].shown = std::move(pattern);
      ++groups[it->second].count;
    }
  }
  std::string text;
  size_t rest = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (i >= longest) {
      rest += groups[i].count;
      continue;
    }
    if (i > 0) text += ", ";
    text += groups[i].shown;
    if (groups[i].count > 1) text += fmt::format(" ({})", groups[i].count);
  }
  if (rest > 0) text += fmt::format(" and {} more", rest);
  return text;
}

std::string LoadReport::text() const {
  std::string text = fmt::format("{} tensor{} read.", read.size(), read.size() == 1 ? "" : "s");
  const auto add = [&](const std::vector<std::string>& names, const char* what) {
    if (!names.empty()) text += fmt::format(" {} {}: {}.", names.size(), what, shorten_names(names));
  };
  add(initialised, "initialised anew, not in the file");
  add(unused, "in the file but not used");
  add(ignored, "left out because the model does not need them");
  return text;
}

Json LoadReport::json() const {
  Json object = Json::object();
  object["read"] = read;
  object["initialised"] = initialised;
  object["unused"] = unused;
  object["ignored"] = ignored;
  return object;
}

}  // namespace cloze
