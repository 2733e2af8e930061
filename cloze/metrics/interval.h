// Confidence intervals: how far a metric of so many rows can be trusted.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace cloze {

struct Interval {
  double low, high;
};

/// Quantile of the standard normal distribution, for p in (0, 1): the x with P(X <= x) = p, to 1e-14 or so.
/// -inf and inf at 0 and 1, NaN outside.
double normal_quantile(double p);

/// Wilson's score interval of a share `right` of `total` rows. [NaN, NaN] of no rows.
/// Errors: kValue unless 0 <= right <= total and 0 < confidence < 1.
Interval wilson_interval(int64_t right, int64_t total, double confidence = 0.95);

struct BootstrapOptions {
  int resamples = 1000;
  double confidence = 0.95;
  uint64_t seed = 0;
};

/// Percentile bootstrap of any metric: `metric` gets row numbers, drawn with replacement, as many as there are rows.
/// Resample k draws from (seed, RandomStream::kData, substream k), so that the result depends on nothing else.
/// Resamples whose metric is NaN are left out; [NaN, NaN] of no rows or if all are NaN. Errors: kValue unless rows >=
/// 0, resamples >= 1 and 0 < confidence < 1.
Interval bootstrap_interval(int64_t rows, const std::function<double(std::span<const int64_t>)>& metric,
                            const BootstrapOptions& options = {});

/// The same for accuracy: one flag a row, 1 where the prediction is right. Errors: as above, kValue for another flag.
Interval bootstrap_accuracy_interval(std::span<const uint8_t> right, const BootstrapOptions& options = {});

}  // namespace cloze
