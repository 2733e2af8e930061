#include <fmt/ranges.h>

#include <cmath>

#include "cloze/base/error.h"
#include "cloze/io/json_scan.h"
#include "cloze/io/weights.h"

namespace cloze {
namespace {

/// [i, j, ...] of the element at `flat`.
std::string position(const Shape& shape, int64_t flat) {
  std::vector<int64_t> at(shape.size());
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    at[static_cast<size_t>(axis)] = flat % shape[axis];
    flat /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(at, ", "));
}

template <class T>
void check_values(const Tensor& tensor, std::string_view name, std::string_view file) {
  const std::span<const T> values = tensor.values<T>();
  // x * 0 is 0 for finite x and NaN otherwise: one sum without branches, in lanes that the compiler can keep in
  // registers, because this runs over every weight at each start.
  T lanes[16] = {};
  size_t i = 0;
  for (; i + 16 <= values.size(); i += 16) {
    for (size_t lane = 0; lane < 16; ++lane) lanes[lane] += values[i + lane] * T{0};
  }
  for (; i < values.size(); ++i) lanes[0] += values[i] * T{0};
  T sum{};
  for (const T lane : lanes) sum += lane;
  if (sum == T{0}) return;

  int64_t nans = 0, infinities = 0, first = -1;
  for (size_t k = 0; k < values.size(); ++k) {
    if (std::isfinite(values[k])) continue;
    if (first < 0) first = static_cast<int64_t>(k);
    ++(std::isnan(values[k]) ? nans : infinities);
  }
  fail(ErrorCode::kValue, "{}: tensor {} of shape {} holds {} NaN and {} infinite values, the first at {}", file,
       quote_name(name), tensor.shape(), nans, infinities, position(tensor.shape(), first));
}

}  // namespace

void check_finite(const Tensor& tensor, std::string_view name, std::string_view file) {
  switch (tensor.dtype()) {
    case DType::kF32:
      return check_values<float>(tensor, name, file);
    case DType::kF64:
      return check_values<double>(tensor, name, file);
    case DType::kF16:
    case DType::kBF16:
      return check_values<float>(to_float(tensor, DType::kF32), name, file);
    default:
      return;
  }
}

}  // namespace cloze
