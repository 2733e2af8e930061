// Ranks, shared by Spearman's correlation and ROC AUC.
#pragma once

#include <span>
#include <vector>

namespace cloze {

/// Ranks from 1 on in ascending order; equal values share the mean of their ranks. NaNs come last, in some order.
std::vector<double> average_ranks(std::span<const double> values);

}  // namespace cloze
