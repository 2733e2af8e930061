// The folder of a run: who may start in it, whether its run is done.
#pragma once

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

/// Removes a run's files and its weights, before a new run starts in their place.
void remove_run(const ModelFiles& files);

}  // namespace cloze
