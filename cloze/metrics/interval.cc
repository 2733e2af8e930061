#include "cloze/metrics/interval.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/base/rng.h"
#include "cloze/metrics/nan.h"

namespace cloze {
namespace {

void check_confidence(double confidence) {
  CLOZE_CHECK(confidence > 0 && confidence < 1, ErrorCode::kValue, "confidence must be between 0 and 1, found {}",
              confidence);
}

/// Linear interpolation between order statistics (numpy's default).
double quantile_of_sorted(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double normal_quantile(double p) {
  if (!(p >= 0 && p <= 1)) return kNaN;
  if (p == 0 || p == 1) return p == 0 ? -HUGE_VAL : HUGE_VAL;
  if (p > 0.5) return -normal_quantile(1 - p);
  // A rough start (Abramowitz and Stegun 26.2.23), then Halley's steps on P(X <= x) = erfc(-x / sqrt 2) / 2.
  const double t = std::sqrt(-2 * std::log(p));
  double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int step = 0; step < 4; ++step) {
    const double error = std::erfc(-x / std::numbers::sqrt2) / 2 - p;
    const double u = error * std::sqrt(2 * std::numbers::pi) * std::exp(x * x / 2);
    x -= u / (1 + x * u / 2);
  }
  return x;
}

Interval wilson_interval(int64_t right, int64_t total, double confidence) {
  check_confidence(confidence);
  CLOZE_CHECK(right >= 0 && right <= total, ErrorCode::kValue, "expected 0 to {} right rows, found {}", total, right);
  if (total == 0) return {kNaN, kNaN};
  const double n = static_cast<double>(total), share = static_cast<double>(right) / n;
  const double z = normal_quantile((1 + confidence) / 2), z2 = z * z;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  // At the ends the bound is exactly 0 or 1; rounding would leave a trace.
  return {right == 0 ? 0.0 : centre - half, right == total ? 1.0 : centre + half};
}

Interval bootstrap_interval(int64_t rows, const std::function<double(std::span<const int64_t>)>& metric,
                            const BootstrapOptions& options) {
  check_confidence(options.confidence);
  CLOZE_CHECK(rows >= 0 && options.resamples >= 1, ErrorCode::kValue,
              "a bootstrap needs rows and at least one resample, found {} rows and {} resamples", rows,
              options.resamples);
  if (rows == 0) return {kNaN, kNaN};
  std::vector<int64_t> drawn(static_cast<size_t>(rows));
  std::vector<double> values;
  for (int k = 0; k < options.resamples; ++k) {
    Rng rng(options.seed, RandomStream::kData, static_cast<uint32_t>(k));
    for (int64_t& row : drawn) row = static_cast<int64_t>(rng.below(static_cast<uint64_t>(rows)));
    const double value = metric(drawn);
    if (!std::isnan(value)) values.push_back(value);
  }
  if (values.empty()) return {kNaN, kNaN};
  std::sort(values.begin(), values.end());
  return {quantile_of_sorted(values, (1 - options.confidence) / 2),
          quantile_of_sorted(values, (1 + options.confidence) / 2)};
}

Interval bootstrap_accuracy_interval(std::span<const uint8_t> right, const BootstrapOptions& options) {
  for (const uint8_t flag : right) {
    CLOZE_CHECK(flag <= 1, ErrorCode::kValue, "expected flags of 0 or 1 (right), found {}", flag);
  }
  const auto share = [&](std::span<const int64_t> drawn) {
    int64_t sum = 0;
    for (const int64_t row : drawn) sum += right[static_cast<size_t>(row)];
    return static_cast<double>(sum) / static_cast<double>(drawn.size());
  };
  return bootstrap_interval(static_cast<int64_t>(right.size()), share, options);
}

}  // namespace cloze
