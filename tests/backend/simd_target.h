// Runs kernels on another SIMD target than the best one.
#pragma once

#include <string>
#include <vector>

#include "hwy/targets.h"

namespace cloze::test {

/// The kernels of one SIMD target, if the processor has it, while it lives.
class SimdTarget {
 public:
  explicit SimdTarget(int64_t target) { hwy::GetChosenTarget().Update(target); }
  ~SimdTarget() { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
  SimdTarget(const SimdTarget&) = delete;
  SimdTarget& operator=(const SimdTarget&) = delete;
};

/// Those that this processor has; 0 is the baseline, what is left where a processor has none of the others.
inline std::vector<int64_t> simd_targets() {
  std::vector<int64_t> found;
  for (const int64_t target :
       {int64_t{HWY_AVX3_DL}, int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, int64_t{HWY_SSE4}, int64_t{0}})
    if ((target & hwy::SupportedTargets()) == target) found.push_back(target);
  return found;
}
inline std::string simd_target_name(int64_t target) {
  return target == 0 ? "baseline" : hwy::TargetName(target);
}

}  // namespace cloze::test
