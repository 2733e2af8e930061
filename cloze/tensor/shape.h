// Sizes of a tensor's dimensions, outermost first; at most four.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "cloze/base/error.h"

namespace cloze {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;  ///< rank 0: one element
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  /// Errors: kShape for more than four dimensions, a negative one, or more than 2^59 elements (so that bytes do not
  /// overflow).
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  size_t size() const { return static_cast<size_t>(rank_); }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t elements() const { return elements_; }
  std::span<const int64_t> dims() const { return {dims_.data(), size()}; }
  bool operator==(const Shape& other) const { return std::ranges::equal(dims(), other.dims()); }
  /// "[2, 128]"
  std::string to_string() const;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
  int64_t elements_ = 1;
};

}  // namespace cloze

template <>
struct fmt::formatter<cloze::Shape> : fmt::formatter<std::string> {
  auto format(const cloze::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(shape.to_string(), context);
  }
};
