// "Did you mean …?" for names that are not there: options, columns, tasks, files.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cloze {

/// `text` with ASCII letters in lower case and blanks around it dropped: how names are compared.
std::string folded_name(std::string_view text);

/// The candidate nearest to `word` by edit distance (two letters swapped count once), case aside; empty if none is near
/// enough to be a slip of the pen (more than two edits, or more than a third of the word).
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

/// ", did you mean X?" for the nearest candidate; "" where none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// Why a path that is not there is not there, for the end of a message: the name in its folder that is nearest
/// (", did you mean DIR/NAME?"), or the folder that is missing; "" where there is nothing to say. Never throws.
std::string missing_path_hint(const std::filesystem::path& path);

}  // namespace cloze
