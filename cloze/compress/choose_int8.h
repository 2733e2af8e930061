// Which parts of a model can stand 8 bits.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cloze/compress/judge.h"

namespace cloze {

/// What a choice of parts in 8 bits is worth on the rows by which it is chosen.
using JudgeParts = std::function<Judgement(const std::vector<std::string>& int8)>;

/// A part alone in 8 bits against none.
struct Sensitivity {
  std::string part;
  double loss_rise = 0;  ///< of the mean loss
  double gain = 0;       ///< of the headline metric, in points of 100
};
/// Of all `parts`, the most fragile first. `progress` hears how many were judged.
std::vector<Sensitivity> scan_parts(const Judgement& whole, const std::vector<std::string>& parts,
                                    const JudgeParts& judge_parts, const std::function<void(int64_t)>& progress);

/// All parts of `scanned` (the most fragile first) in 8 bits but as many of the first as it takes for the headline
/// metric to drop by at most `max_drop` points of 100. Gives the parts that stay in 8 bits; perhaps none.
std::vector<std::string> parts_within(const Judgement& whole, const std::vector<Sensitivity>& scanned, double max_drop,
                                      const JudgeParts& judge_parts);

}  // namespace cloze
