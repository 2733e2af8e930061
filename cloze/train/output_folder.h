// The folder of a run: who may start in it, whether its run is done.
#pragma once

#include <memory>
#include <optional>

#include "cloze/base/folder_lock.h"
#include "cloze/io/model_dir.h"
#include "cloze/train/trainer.h"

namespace cloze {

/// True where the folder's run came to its end.
bool is_finished(const ModelFiles& files);

/// The result that run.json of a finished run tells; `best` is empty. Errors: kFormat; kUsage where the run was
/// another one than `run`, with the differences.
TrainResult finished_result(const ModelFiles& files, const Json& run);

/// The metrics of the dev rows in a line of metrics.jsonl.
MetricList dev_metrics(const Json& line);

/// What rank 0 finds in the output folder and does about it, for all processes.
struct Claim {
  ModelFiles files;
  std::unique_ptr<FolderLock> lock = nullptr;
  Start start;
  bool found_nothing = false;  ///< to resume
  std::optional<TrainResult> finished = std::nullopt;
};
/// On all processes of a job. Errors: kUsage for a folder that is taken, or holds another run; kIo.
Claim claim_folder(const RunSettings& settings, const Json& run, Communicator& communicator);

/// Removes a run's files and its weights, before a new run starts in their place.
void remove_run(const ModelFiles& files);

}  // namespace cloze
