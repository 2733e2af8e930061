#include "compare.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace cloze::test {
namespace {

constexpr double kUlp = 0x1.0p-24;         // half the distance of 1 and the next f32
constexpr double kUnderflow = 0x1.0p-126;  // results below f32's normal numbers may be flushed to 0

double element(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::kF32 ? double{tensor.data<float>()[i]} : tensor.data<double>()[i];
}

}  // namespace

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), size_t(a.bytes())) == 0);
}

std::string difference(const Tensor& got, const Tensor& expected, const Tensor& magnitude, double ulps) {
  if (got.shape() != expected.shape() || got.shape() != magnitude.shape())
    return fmt::format("shapes differ: got {}, expected {}, magnitude {}", got.shape(), expected.shape(),
                       magnitude.shape());
  int64_t wrong = 0, worst = 0;
  double worst_ulps = 0;
  for (int64_t i = 0; i < got.elements(); ++i) {
    const double error = std::abs(element(got, i) - element(expected, i)), scale = element(magnitude, i);
    if (error <= ulps * kUlp * scale + (scale > 0 ? kUnderflow : 0)) continue;
    ++wrong;
    const double in_ulps = std::isfinite(error) && scale > 0 ? error / (kUlp * scale) : INFINITY;
    if (in_ulps > worst_ulps) worst_ulps = in_ulps, worst = i;
  }
  if (wrong == 0) return {};
  return fmt::format(
      "{} of {} elements of {} differ by more than {} ulps; worst is element {}: {} ulps, "
      "got {:.9g}, expected {:.9g}, magnitude {:.3g}",
      wrong, got.elements(), got.shape(), ulps, worst, worst_ulps, element(got, worst), element(expected, worst),
      element(magnitude, worst));
}

}  // namespace cloze::test
