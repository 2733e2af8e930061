// The names under which columns are usually found, and help for those that are not.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloze/base/suggest.h"

namespace cloze {

/// Columns that belong together as text and text pair. They are looked for before single names, in this order, so that
/// a `question` beside a `sentence` (QNLI) is not taken for a single text.
std::span<const std::pair<std::string_view, std::string_view>> usual_couples();

/// Names of a text, a text pair and a label, in the order in which they are preferred. Lower case.
std::span<const std::string_view> usual_text_names();
std::span<const std::string_view> usual_text_pair_names();
std::span<const std::string_view> usual_label_names();

/// `"a", "b", "c"` for messages: at most 20 names, each cut at 40 bytes (at a code point's border); "none" if empty.
std::string quoted_list(std::span<const std::string> names);

}  // namespace cloze
