// The names under which columns are usually found, and help for those that are not.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cloze {

/// Columns that belong together as text and text pair. They are looked for before single names, in this order, so that
/// a `question` beside a `sentence` (QNLI) is not taken for a single text.
std::span<const std::pair<std::string_view, std::string_view>> usual_couples();

/// Names of a text, a text pair and a label, in the order in which they are preferred. Lower case.
std::span<const std::string_view> usual_text_names();
std::span<const std::string_view> usual_text_pair_names();
std::span<const std::string_view> usual_label_names();

/// A header's name as it is compared: ASCII letters in lower case, blanks around it dropped.
std::string folded_name(std::string_view name);

/// The candidate nearest to `word` by edit distance, case aside; empty if none is near enough to be a slip of the pen
/// (more than two edits, or more than a third of the word).
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

/// `"a", "b", "c"` for messages: at most 20 names, each cut at 40 bytes (at a code point's border); "none" if empty.
std::string quoted_list(std::span<const std::string> names);

}  // namespace cloze
