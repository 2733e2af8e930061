#include "cloze/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"

namespace cloze {

Decline parse_decline(const std::string& name) {
  if (name == "constant") return Decline::kConstant;
  if (name == "linear") return Decline::kLinear;
  if (name == "cosine") return Decline::kCosine;
  fail(ErrorCode::kUsage, "unknown schedule \"{}\"{}; known are constant, linear, cosine", name,
       did_you_mean(name, {"constant", "linear", "cosine"}));
}

namespace {

double declined(double peak, Decline decline, double progress) {
  progress = std::clamp(progress, 0.0, 1.0);
  switch (decline) {
    case Decline::kConstant:
      return peak;
    case Decline::kLinear:
      return peak * (1.0 - progress);
    case Decline::kCosine:
      return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  }
  return peak;
}

}  // namespace

double Schedule::rate(int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  const int64_t span = std::max<int64_t>(1, total_steps - warmup_steps);
  return declined(peak, decline, static_cast<double>(step - warmup_steps) / static_cast<double>(span));
}

double rate_at(double peak, double warmup, Decline decline, double share) {
  if (share < warmup) return peak * share / warmup;
  return declined(peak, decline, (share - warmup) / std::max(1.0 - warmup, 1e-9));
}

}  // namespace cloze
