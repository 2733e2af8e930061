// Text that stands in HTML.
#pragma once

#include <string>
#include <string_view>

namespace cloze {

/// With &, <, >, " and ' as entities: for text and for quoted attributes.
std::string escape_html(std::string_view text);

}  // namespace cloze
