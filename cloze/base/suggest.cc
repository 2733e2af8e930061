#include "cloze/base/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloze {
namespace {

/// Insertions, deletions, changes, and swaps of two neighbours ("optimal string alignment").
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string folded_name(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  std::string folded(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kLongestName = 100;  // a data row taken for a header may hold fields of megabytes
  const std::string wanted = folded_name(word);
  std::string best;
  size_t least = std::min<size_t>(2, wanted.size() / 3) + 1;
  if (wanted.size() > kLongestName) return best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const size_t distance = edit_distance(wanted, folded_name(candidate));
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest_name(word, candidates);
  return near.empty() ? "" : fmt::format(", did you mean {}?", near);
}

std::string missing_path_hint(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  constexpr size_t kMostNames = 20000;
  try {
    fs::path given = path;
    if (!given.has_filename()) given = given.parent_path();  // "name/"
    const bool bare = !given.has_parent_path();
    const fs::path folder = bare ? fs::path(".") : given.parent_path();
    std::error_code error;
    if (!fs::is_directory(folder, error))
      return fmt::format(": the folder {} is {}", folder.string(),
                         fs::exists(folder, error) ? "a file" : "not there" + missing_path_hint(folder));
    std::vector<std::string> names;
    fs::directory_iterator it(folder, error);
    for (; !error && it != fs::directory_iterator() && names.size() < kMostNames; it.increment(error))
      names.push_back(it->path().filename().string());
    std::ranges::sort(names);  // of equally near ones the same on every file system
    const std::string near = nearest_name(given.filename().string(), names);
    return near.empty() ? "" : fmt::format(", did you mean {}?", (bare ? fs::path(near) : folder / near).string());
  } catch (const std::exception&) {
    return "";  // a hint must not replace the error
  }
}

}  // namespace cloze
