// What a metric is of rows that do not define it.
#pragma once

#include <limits>

namespace cloze {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace cloze
