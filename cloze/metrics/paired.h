// Two classifiers on the same rows: whether they differ by more than chance.
#pragma once

#include <cstdint>

#include "cloze/metrics/interval.h"

namespace cloze {

/// Of `rows` rows, `first_only` were right with the first alone, `second_only` with the second alone.
struct PairedCounts {
  int64_t rows = 0, first_only = 0, second_only = 0;
  /// Accuracy of the second less that of the first.
  double difference() const {
    return rows == 0 ? 0 : static_cast<double>(second_only - first_only) / static_cast<double>(rows);
  }
};

/// McNemar's exact test (McNemar, 1947), two-sided: the probability of a split at least as uneven of the rows on which
/// they differ, were each as likely to go either way. 1 where they never differ.
double mcnemar_exact(const PairedCounts& counts);

/// Interval of the difference: d -+ z sqrt(b + c - (b - c)^2 / n) / n (Fleiss, Levin and Paik, "Statistical Methods for
/// Rates and Proportions", 2003, 13.1). [NaN, NaN] of no rows.
Interval difference_interval(const PairedCounts& counts, double confidence = 0.95);

}  // namespace cloze
