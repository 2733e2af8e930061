#include "cloze/tensor/shape.h"

#include <fmt/ranges.h>

namespace cloze {

Shape::Shape(std::span<const int64_t> dims) {
  CLOZE_CHECK(dims.size() <= kMaxRank, ErrorCode::kShape, "a shape of {} dimensions; at most {} are known", dims.size(),
              kMaxRank);
  for (const int64_t size : dims) {
    CLOZE_CHECK(size >= 0 && (size == 0 || elements_ <= (int64_t{1} << 59) / size), ErrorCode::kShape,
                "impossible shape [{}]", fmt::join(dims, ", "));
    dims_[static_cast<size_t>(rank_++)] = size;
    elements_ *= size;
  }
}

std::string Shape::to_string() const {
  return fmt::format("[{}]", fmt::join(dims(), ", "));
}

}  // namespace cloze
