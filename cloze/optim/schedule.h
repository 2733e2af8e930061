// Learning rate by step: linear warm-up, then constant, linear or cosine decay to zero.
#pragma once

#include <cstdint>
#include <string>

namespace cloze {

enum class Decline : uint8_t { kConstant, kLinear, kCosine };

/// "constant", "linear" or "cosine". Errors: kUsage.
Decline parse_decline(const std::string& name);

struct Schedule {
  double peak;           ///< highest learning rate
  int64_t warmup_steps;  ///< steps of linear rise
  int64_t total_steps;   ///< the decline reaches 0 here
  Decline decline;

  /// The rate of step `step`, counted from 0: during warm-up peak (step + 1) / warmup_steps, so that no step is lost.
  double rate(int64_t step) const;
};

/// The same over a share of the run's time instead of its steps: rises for `warmup` (a share), then declines to 0 at 1.
double rate_at(double peak, double warmup, Decline decline, double share);

}  // namespace cloze
