#include "cloze/train/output_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"

namespace cloze {

namespace {

void check_names(const Path& output, Start start) {
  if (start == Start::kOverwrite || !std::filesystem::exists(output)) return;
  CLOZE_CHECK(std::filesystem::is_directory(output), ErrorCode::kUsage, "--output {}: a file of that name stands there",
              output.string());
  if (start == Start::kResume) {
    CLOZE_CHECK(!std::filesystem::exists(output / ModelFiles::kEnsemble), ErrorCode::kUsage,
                "--resume: {} holds an ensemble, but no run; it is left as it is", output.string());
    // A run that was killed at its very beginning may have left anything but weights.
    const bool is_run = std::filesystem::exists(output / kRunFile) || std::filesystem::exists(output / kResumeFile);
    CLOZE_CHECK(is_run || !std::filesystem::exists(output / ModelFiles::kWeights), ErrorCode::kUsage,
                "--resume: {} holds a model, but no run (no {}); it is left as it is", output.string(), kRunFile);
    return;
  }
  for (const char* name : {ModelFiles::kWeights, ModelFiles::kConfig, ModelFiles::kEnsemble, kRunFile, kResumeFile})
    CLOZE_CHECK(
        !std::filesystem::exists(output / name), ErrorCode::kUsage,
        "--output {} already holds {}; choose another folder, go on with --resume, or replace it with --overwrite",
        output.string(), name);
}

/// That the folder, or the nearest one above it that is there, can be written to: better said before the data is read.
void check_writable(const Path& output) {
  std::error_code ignored;
  Path folder = std::filesystem::absolute(output, ignored);
  while (!std::filesystem::exists(folder, ignored) && folder.has_parent_path() && folder != folder.parent_path())
    folder = folder.parent_path();
  if (::access(folder.c_str(), W_OK) == 0) return;
  fail(ErrorCode::kIo, "--output {}: cannot write to {}: {}", output.string(), folder.string(), std::strerror(errno));
}

}  // namespace

void check_output(const Path& output, Start start) {
  check_names(output, start);
  check_writable(output);
}

bool is_finished(const ModelFiles& files) {
  return files.has(kRunFile) && !files.has(kResumeFile) && files.read_json(kRunFile).contains("finished");
}

MetricList dev_metrics(const Json& line) {
  MetricList metrics;
  if (!line.is_object()) return metrics;
  for (const auto& [name, value] : line.items())
    if (name.starts_with("dev_") && value.is_number()) metrics.emplace_back(name.substr(4), value.get<double>());
  return metrics;
}

TrainResult finished_result(const ModelFiles& files, const Json& run) {
  const std::string where = files.path(kRunFile).string();
  Json record = files.read_json(kRunFile);
  const Json finished = record["finished"];
  record.erase("finished");
  refuse_other_run(record, run, where);
  TrainResult result;
  result.steps = json_int(finished, "steps", where);
  result.best_step = json_int(finished, "best_step", where);
  result.metric = json_string(finished, "metric", where);
  result.stopped_early = json_bool_or(finished, "stopped_early", false, where);
  result.was_complete = true;
  if (const auto best = finished.find("best"); best != finished.end()) result.best_metrics = dev_metrics(*best);
  if (!result.metric.empty()) result.best_value = metric_value(result.best_metrics, result.metric);
  return result;
}

void remove_run(const ModelFiles& files) {
  std::error_code ignored;
  // Weights first: what is left after a kill in between must not look like a model.
  for (const char* name : {ModelFiles::kEnsemble, ModelFiles::kWeights, kResumeFile, kRunFile, kLogFile})
    std::filesystem::remove(files.path(name), ignored);
}

namespace {

Claim claim_alone(const RunSettings& settings, const Json& run) {
  Claim claim{.files = ModelFiles::create(settings.output), .start = settings.start};
  claim.lock = std::make_unique<FolderLock>(settings.output);
  const bool resumes = settings.start == Start::kResume;
  if (resumes && is_finished(claim.files)) {
    claim.finished = finished_result(claim.files, run);
    return claim;
  }
  claim.found_nothing = resumes && !claim.files.has(kResumeFile);
  if (claim.found_nothing) claim.start = Start::kOverwrite;
  if (claim.start == Start::kOverwrite) remove_run(claim.files);
  return claim;
}

}  // namespace

Claim claim_folder(const RunSettings& settings, const Json& run, Communicator& communicator) {
  if (communicator.rank() == 0) {
    check_output(settings.output, settings.start);
    Claim claim = claim_alone(settings, run);
    share_text(communicator, claim.finished ? "finished" : claim.start == Start::kResume ? "resume" : "begin");
    return claim;
  }
  const std::string word = share_text(communicator, "");
  // Others have no folder: the root stands for it, and is never written to.
  Claim claim{.files = ModelFiles::open("/"), .start = word == "resume" ? Start::kResume : Start::kOverwrite};
  if (word == "finished") {
    claim.finished.emplace();
    claim.finished->was_complete = true;
  }
  return claim;
}

}  // namespace cloze
