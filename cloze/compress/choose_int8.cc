#include "cloze/compress/choose_int8.h"

#include <algorithm>
#include <cmath>

namespace cloze {
namespace {

double metric_gain(const Judgement& whole, const Judgement& now) {
  return 100 * (now.headline().second - whole.headline().second);
}

}  // namespace

std::vector<Sensitivity> scan_parts(const Judgement& whole, const std::vector<std::string>& parts,
                                    const JudgeParts& judge_parts, const std::function<void(int64_t)>& progress) {
  std::vector<Sensitivity> scanned;
  for (const std::string& part : parts) {
    const Judgement now = judge_parts({part});
    scanned.push_back({part, now.loss() - whole.loss(), metric_gain(whole, now)});
    progress(std::ssize(scanned));
  }
  // By the loss, which is smoother than the metric; by the metric where there is no loss.
  std::ranges::stable_sort(scanned, std::ranges::greater(),
                           [](const Sensitivity& s) { return std::isnan(s.loss_rise) ? -s.gain : s.loss_rise; });
  return scanned;
}

std::vector<std::string> parts_within(const Judgement& whole, const std::vector<Sensitivity>& scanned, double max_drop,
                                      const JudgeParts& judge_parts) {
  std::vector<std::string> parts;
  for (const Sensitivity& s : scanned) parts.push_back(s.part);
  constexpr double kRounding = 1e-9;
  while (!parts.empty() && metric_gain(whole, judge_parts(parts)) < -max_drop - kRounding) parts.erase(parts.begin());
  return parts;
}

}  // namespace cloze
