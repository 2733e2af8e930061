// text-classification: one text or a pair, one label of several.
#pragma once

#include "cloze/task/task.h"

namespace cloze {

inline constexpr const char* kTextClassification = "text-classification";

std::unique_ptr<TrainingTask> train_text_classification(const TrainingSource& source);
/// Errors: kNotFound where the directory has no classifier; those of load_config, Weights and load_parameters.
std::unique_ptr<Predictor> load_text_classification(const ModelFiles& files, const LoadOptions& options);

}  // namespace cloze
