#include "cloze/train/seeds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cloze/base/folder_lock.h"
#include "cloze/train/run_state.h"

namespace cloze {
namespace {

std::vector<SeedSummary::Spread> spreads_of(const std::vector<TrainResult>& results) {
  std::vector<SeedSummary::Spread> spreads;
  for (const auto& [metric, ignored] : results.front().best_metrics) {
    std::vector<double> values;
    for (const TrainResult& result : results) values.push_back(metric_value(result.best_metrics, metric));
    const double n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    spreads.push_back({metric, mean, values.size() > 1 ? std::sqrt(squares / (n - 1)) : std::nan("")});
  }
  return spreads;
}

void copy_atomically(const Path& from, const Path& to) {
  const auto bytes = MappedFile::open(from);
  AtomicFile file(to);
  file.write(std::span<const std::byte>(bytes->bytes()));
  file.commit();
}

/// A model directory with its run.json, what it reads beside its weights (features.json, second-encoder/) too; the
/// weights come last. What of that kind an earlier model left in `to` goes.
void copy_model(const Path& from, const Path& to) {
  const ModelFiles source = ModelFiles::open(from);
  std::error_code error;
  for (const char* name : {ModelFiles::kEnsemble, "features.json", "second-encoder"})
    std::filesystem::remove_all(to / name, error);
  std::vector<std::string> names = source.list();
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != ModelFiles::kWeights; });
  for (const std::string& name : names) {
    if (name == kResumeFile || name == kLogFile) continue;
    const Path path = source.path(name);
    if (std::filesystem::is_regular_file(path)) {
      copy_atomically(path, to / name);
    } else if (name == "second-encoder") {
      std::filesystem::copy(path, to / name, std::filesystem::copy_options::recursive, error);
      CLOZE_CHECK(!error, ErrorCode::kIo, "cannot copy {} to {}: {}", path.string(), to.string(), error.message());
    }
  }
}

}  // namespace

Path seed_folder(const Path& output, int64_t seed) {
  return output / fmt::format("seed-{}", seed);
}

std::string SeedSummary::text() const {
  if (spreads.empty()) return "no dev rows: nothing was measured (give --dev)\n";
  std::string lines;
  for (const Spread& spread : spreads) {
    lines += fmt::format("{:<16} {:.4f} ± {:.4f}   of", spread.metric, spread.mean, spread.deviation);
    for (const TrainResult& result : results)
      lines += fmt::format(" {:.4f}", metric_value(result.best_metrics, spread.metric));
    lines += "\n";
  }
  return lines;
}

Json SeedSummary::json() const {
  Json runs = Json::array(), metrics = Json::object();
  for (size_t i = 0; i < seeds.size(); ++i) {
    Json run = {{"seed", seeds[i]}, {"steps", results[i].steps}, {"best_step", results[i].best_step}};
    for (const auto& [name, value] : results[i].best_metrics) run["dev_" + name] = value;
    runs.push_back(run);
  }
  for (const Spread& spread : spreads)
    metrics["dev_" + spread.metric] = {{"mean", spread.mean}, {"deviation", spread.deviation}};
  return {{"seeds", runs}, {"metrics", metrics}, {"model_of_seed", seeds[best]}};
}

SeedSummary train_seeds(const Path& output, int64_t first, int64_t count,
                        const std::function<TrainResult(int64_t seed, const Path& folder)>& run,
                        const Communicator& communicator) {
  CLOZE_CHECK(count >= 1 && count <= 1000, ErrorCode::kUsage, "--seeds must be 1 to 1000, got {}", count);
  CLOZE_CHECK(first <= std::numeric_limits<int64_t>::max() - count, ErrorCode::kUsage,
              "--seed {} leaves no room for {} seeds", first, count);
  const bool writes = communicator.rank() == 0;
  if (writes) make_folder(output);
  const auto lock = writes ? std::make_unique<FolderLock>(output) : nullptr;
  SeedSummary summary;
  for (int64_t seed = first; seed < first + count; ++seed) {
    summary.seeds.push_back(seed);
    summary.results.push_back(run(seed, seed_folder(output, seed)));
  }
  if (!writes) return summary;
  summary.spreads = spreads_of(summary.results);
  const auto worth = [&](size_t i) {
    const TrainResult& r = summary.results[i];
    return less_is_better(r.metric) ? -r.best_value : r.best_value;
  };
  for (size_t i = 1; i < summary.results.size(); ++i)
    if (worth(i) > worth(summary.best)) summary.best = i;
  copy_model(seed_folder(output, summary.seeds[summary.best]), output);
  write_file(output / kSeedsFile, dump_json(summary.json()));
  return summary;
}

}  // namespace cloze
