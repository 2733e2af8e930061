// bench_kernels: speed of the cpu backend's kernels at BERT's own sizes, each checked against ref before it is timed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <exception>
#include <string>

#include "cases.h"
#include "cloze/base/error.h"
#include "cloze/base/thread_team.h"
#include "compare.h"

namespace cloze::test {
namespace {

/// Runs the call once on the cpu backend. Says what is wrong with its outputs, empty if nothing.
std::string check(const Case& one, const Call& fast) {
  const Call exact = one.make({DType::kF64, Saved::kRounded, Placement::kPlain});
  exact.run(ref_backend());
  fast.run(cpu_backend());
  const std::vector<Tensor> magnitudes = exact.magnitudes();
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    const std::string wrong = difference(fast.outputs[i].value, exact.outputs[i].value, magnitudes[i], one.ulps);
    if (!wrong.empty()) return fmt::format("{}: {}", exact.outputs[i].name, wrong);
  }
  return {};
}

/// A case ready to be timed. Google Benchmark enters a benchmark several times, and making and checking a large case
/// takes seconds: so the last one is kept.
struct Checked {
  const Case* of = nullptr;
  Call call;
  std::string wrong;

  static const Checked& last(const Case& one) {
    static Checked kept;
    if (kept.of == &one) return kept;
    kept = {};  // frees the one before
    kept.call = one.make({DType::kF32, Saved::kRounded, Placement::kPlain});
    kept.wrong = check(one, kept.call);
    kept.of = &one;
    return kept;
  }
};

bool any_wrong = false;

void time_case(benchmark::State& state, const Case& one) {
  const Checked& checked = Checked::last(one);
  if (!checked.wrong.empty()) {
    any_wrong = true;
    state.SkipWithError(checked.wrong.c_str());
    return;
  }
  for (auto _ : state) checked.call.run(cpu_backend());
  const auto rate = [](double per_call) {
    return benchmark::Counter(per_call * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (one.flops > 0) state.counters["GFLOP/s"] = rate(one.flops);
  state.counters["GB/s"] = rate(checked.call.bytes);
}

void register_cases() {
  for (const Case& one : timing_cases())
    benchmark::RegisterBenchmark((one.kernel + "/" + one.name).c_str(), time_case, one)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace cloze::test

int main(int argc, char** argv) {
  try {
    cloze::test::register_cases();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::AddCustomContext("threads", std::to_string(cloze::thread_team().size()));
    benchmark::RunSpecifiedBenchmarks();
    return cloze::test::any_wrong ? 1 : 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_kernels: {}\n", error.what());
    return 1;
  }
}
