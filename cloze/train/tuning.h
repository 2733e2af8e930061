// Makes a task's model ready to be fine-tuned as the options say.
#pragma once

#include "cloze/task/task.h"
#include "cloze/train/options.h"

namespace cloze {

/// Before anything is trained or estimated: freezes what is not to be trained, and starts anew what is to. A second
/// call changes nothing. Errors: kUsage where the model does not fit the options.
void apply_tuning(TrainingTask& task, const TrainOptions& options);

/// The same for an encoder and all parameters of the model that it is in. `encoder` may be null.
void apply_trained_part(const ParameterList& parameters, Bert* encoder, const TuningOptions& options, uint64_t seed);

/// The task's parameters and its adapters. What is trained is trained_of() them.
ParameterList all_parameters(TrainingTask& task);

/// While it lives the adapters are in the weights, and the model is an ordinary one.
class MergedAdapters {
 public:
  explicit MergedAdapters(TrainingTask& task);
  ~MergedAdapters();
  MergedAdapters(const MergedAdapters&) = delete;
  MergedAdapters& operator=(const MergedAdapters&) = delete;

 private:
  Bert* encoder_;
};

}  // namespace cloze
