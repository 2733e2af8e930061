// compare_threads [PART-OF-NAME]: each kernel on one thread and on two. Two may never be slower, however small the
// work. Prints the rows where they are, or with an argument all rows whose "kernel/case" holds it. Exits with 1 if two
// threads were slower anywhere.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>

#include "cases.h"
#include "cloze/base/thread_team.h"

namespace cloze::test {
namespace {

constexpr double kWindow = 500e-6;  // seconds that one sample takes, at least
constexpr int kSamples = 7;
constexpr double kNoise = 1.05;  // ratios up to here count as equal

double seconds_of(const Call& call, int times) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) call.run(cpu_backend());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / times;
}

/// The shortest of a few samples: what else the machine does can only lengthen one.
double best_seconds(const Call& call, int threads) {
  set_thread_count(threads);
  const double once = std::max(seconds_of(call, 1), 1e-8);
  const int times = std::clamp(static_cast<int>(kWindow / once), 1, 20000);
  double best = once;
  for (int i = 0; i < kSamples; ++i) best = std::min(best, seconds_of(call, times));
  return best;
}

struct Times {
  double one, two;
  double ratio() const { return two / one; }
};

/// Alternating; again where two threads look slower, since a passing disturbance must not count.
Times times_of(const Call& call) {
  Times best{1e9, 1e9};
  for (int round = 0; round < 6 && (round < 2 || best.ratio() > kNoise); ++round) {
    best.one = std::min(best.one, best_seconds(call, 1));
    best.two = std::min(best.two, best_seconds(call, 2));
  }
  return best;
}

int run(const std::string& part) {
  int slower = 0, rows = 0;
  for (const auto* table : {&all_cases(), &timing_cases()})
    for (const Case& one : *table) {
      const std::string name = one.kernel + "/" + one.name;
      // Large backward cases take ref seconds to make, and small work is what is in question.
      if (name.find(part) == std::string::npos || one.flops > 2e8) continue;
      const Times times = times_of(one.make({DType::kF32, Saved::kRounded, Placement::kPlain}));
      ++rows;
      const bool bad = times.ratio() > kNoise;
      slower += bad;
      if (bad || !part.empty())
        fmt::print("{:<60} {:>10.2f} us {:>10.2f} us {:>6.2f}{}\n", name, times.one * 1e6, times.two * 1e6,
                   times.ratio(), bad ? "  slower" : "");
    }
  fmt::print("{} of {} cases slower on two threads than on one (by more than {:.0f} %)\n", slower, rows,
             (kNoise - 1) * 100);
  return slower > 0 ? 1 : 0;
}

}  // namespace
}  // namespace cloze::test

int main(int argc, char** argv) {
  if (argc > 2) {
    fmt::print(stderr, "usage: compare_threads [PART-OF-NAME]\n");
    return 2;
  }
  try {
    return cloze::test::run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "compare_threads: {}\n", error.what());
    return 1;
  }
}
