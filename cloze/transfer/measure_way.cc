#include "cloze/transfer/measure_way.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cloze/base/child_process.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze {
namespace {

/// Evaluation is timed again while it takes less than this: short times are rough.
constexpr double kShortSeconds = 0.3;

/// Numbers that were trained, as run.json says: of a classifier on frozen vectors, or of the model.
int64_t trained_numbers(const ModelFiles& files) {
  const Json run = files.read_json("run.json");
  const Json finished = run.value("finished", Json::object());
  for (const char* key : {"classifier_numbers", "trained_numbers"})
    if (finished.contains(key)) return json_int(finished, key, files.path("run.json").string());
  return 0;
}

}  // namespace

WayResult measure_way(const TransferWay& way, const WaySettings& settings, const std::vector<TextExample>& rows,
                      const std::string& file) {
  WayResult result;
  result.way = way;
  const Path folder = settings.output / way.name, log = settings.output / (way.name + ".log");
  std::vector<std::string> arguments = {settings.program, "finetune", "--output", folder.string(), "--overwrite"};
  for (const auto* part :
       {&settings.common, way.trains_encoder ? &settings.training_only : &settings.frozen_only, &way.options})
    arguments.insert(arguments.end(), part->begin(), part->end());
  const ChildResult child = run_child(arguments, log);
  CLOZE_CHECK(child.exit_code != 130, ErrorCode::kInterrupted, "interrupted while {} was trained", way.name);
  result.train_seconds = child.seconds;
  result.peak_bytes = child.peak_bytes;
  if (child.exit_code != 0) {
    result.failed = true;
    result.note = last_words(log);
    return result;
  }
  const ModelFiles files = ModelFiles::open(folder);
  result.trained = trained_numbers(files);
  const std::unique_ptr<Predictor> predictor = load_predictor(files, "", {});
  Evaluation evaluation;
  for (int round = 0; round < 3; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    evaluation = predictor->evaluate(rows, file);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    result.rows_per_second =
        std::max(result.rows_per_second, static_cast<double>(rows.size()) / std::max(seconds, 1e-9));
    if (seconds > kShortSeconds) break;
  }
  result.rows = evaluation.lengths.rows;
  result.accuracy = metric_value(evaluation.metrics, "accuracy");
  result.right = std::llround(result.accuracy * static_cast<double>(result.rows));
  result.interval = wilson_interval(result.right, result.rows);
  return result;
}

}  // namespace cloze
