#include "cloze/compress/front.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/base/json.h"

namespace cloze {
namespace {

constexpr double kRounding = 1e-9;

double speed_of(const Candidate& whole, const Candidate& candidate) {
  return whole.seconds / candidate.seconds;
}

double worth_of(const Candidate& candidate) {
  return candidate.judged.headline().second;
}

}  // namespace

double gain_of(const Candidate& whole, const Candidate& candidate) {
  return 100 * (worth_of(candidate) - worth_of(whole));
}

bool on_front(const std::vector<Candidate>& all, const Candidate& candidate) {
  return std::ranges::none_of(all, [&](const Candidate& other) {
    const bool no_worse = other.seconds <= candidate.seconds && worth_of(other) >= worth_of(candidate);
    return no_worse && (other.seconds < candidate.seconds || worth_of(other) > worth_of(candidate));
  });
}

const Candidate& choose(const std::vector<Candidate>& all, const FrontGoal& goal) {
  CLOZE_CHECK(!all.empty(), ErrorCode::kInternal, "no candidates");
  const Candidate& whole = all[0];
  const auto fast = [&](const Candidate& c) { return speed_of(whole, c) >= goal.speedup; };
  const auto better = [&](const Candidate& a, const Candidate& b) {
    if (fast(a) != fast(b)) return fast(a);
    if (fast(a) && worth_of(a) != worth_of(b)) return worth_of(a) > worth_of(b);
    if (!fast(a) && a.seconds != b.seconds) return a.seconds < b.seconds;
    return a.size.bytes < b.size.bytes;
  };
  const Candidate* best = &whole;
  for (const Candidate& c : all)
    if (gain_of(whole, c) >= -goal.max_drop - kRounding && better(c, *best)) best = &c;
  return *best;
}

std::string reason(const std::vector<Candidate>& all, const FrontGoal& goal) {
  const Candidate &whole = all[0], &best = choose(all, goal);
  const double speed = speed_of(whole, best);
  const std::string facts =
      fmt::format("{}: {:.2f} times as fast, {:.0f} % of the bytes, {:+.2f} points of {}", best.name, speed,
                  100.0 * static_cast<double>(best.size.bytes) / static_cast<double>(whole.size.bytes),
                  gain_of(whole, best), whole.judged.headline().first);
  if (speed >= goal.speedup) return facts + ", the best of those that reach the goal";
  return facts +
         fmt::format(", the fastest that loses at most {:g} points; {:g} times as fast was not reached within them",
                     goal.max_drop, goal.speedup);
}

std::string front_table(const std::vector<Candidate>& all, const FrontGoal& goal) {
  const Candidate &whole = all[0], &best = choose(all, goal);
  const std::string& metric = whole.judged.headline().first;
  std::string text = fmt::format("  {:<14} {:>9} {:>7} {:>8} {:>9} {:>9}  heads/neurons by layer\n", "model", "ms",
                                 "times", "MB", metric, "points");
  for (const Candidate& c : all)
    text += fmt::format("{}{}{:<14} {:>9.2f} {:>7.2f} {:>8.1f} {:>9.4f} {:>+9.2f}  {}\n", &c == &best ? ">" : " ",
                        on_front(all, c) ? "*" : " ", c.name, 1e3 * c.seconds, speed_of(whole, c),
                        static_cast<double>(c.size.bytes) / 1e6, worth_of(c), gain_of(whole, c), c.shape);
  return text + "> chosen   * none is both faster and better\n";
}

std::string candidate_line(const std::vector<Candidate>& all, const Candidate& c, const FrontGoal& goal) {
  JsonLine line;
  line.begin_object()
      .member("model", c.name)
      .member("chosen", &c == &choose(all, goal))
      .member("front", on_front(all, c));
  line.member("seconds", c.seconds).member("times_as_fast", speed_of(all[0], c)).member("file_bytes", c.size.bytes);
  line.member("parameters", c.size.parameters).member("rows", c.judged.rows);
  for (const auto& [name, value] : c.judged.metrics) line.member(name, value);
  return line.member("gain", gain_of(all[0], c)).member("layers", c.shape).end_object().take();
}

}  // namespace cloze
