// Metrics of multi-label classification: each row has any number of C labels, as flags [n, C] of 0 and 1, row by row.
#pragma once

#include <cstdint>
#include <span>

namespace cloze {

struct MultilabelScores {
  double micro_f1;      ///< of counts pooled over labels
  double macro_f1;      ///< mean over all C labels, 0 for a label that never occurs (scikit-learn, zero_division=0)
  double exact_match;   ///< share of rows whose flags are all right (subset accuracy)
  double hamming_loss;  ///< share of flags that are wrong
};

/// Of no rows, all four are NaN. Errors: kValue unless C >= 1, both have the same whole number of rows, and every flag
/// is 0 or 1.
MultilabelScores multilabel_scores(std::span<const uint8_t> predicted, std::span<const uint8_t> truth, int classes);

}  // namespace cloze
