#include "cloze/metrics/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cloze {

double mcnemar_exact(const PairedCounts& counts) {
  const int64_t n = counts.first_only + counts.second_only, least = std::min(counts.first_only, counts.second_only);
  if (n == 0) return 1;
  // 2 sum_{k <= least} C(n,k) / 2^n, by logarithms: n may be large.
  const double total = static_cast<double>(n);
  double sum = 0;
  for (int64_t k = 0; k <= least; ++k) {
    const double picked = static_cast<double>(k);
    sum += std::exp(std::lgamma(total + 1) - std::lgamma(picked + 1) - std::lgamma(total - picked + 1) -
                    total * std::log(2.0));
  }
  return std::min(1.0, 2 * sum);
}

Interval difference_interval(const PairedCounts& counts, double confidence) {
  if (counts.rows == 0) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  const double n = static_cast<double>(counts.rows), b = static_cast<double>(counts.first_only),
               c = static_cast<double>(counts.second_only);
  const double half =
      normal_quantile(0.5 + confidence / 2) * std::sqrt(std::max(0.0, b + c - (b - c) * (b - c) / n)) / n;
  return {std::max(-1.0, counts.difference() - half), std::min(1.0, counts.difference() + half)};
}

}  // namespace cloze
