// Parameters to and from the weights of a model directory.
#pragma once

#include <functional>

#include "cloze/io/model_dir.h"
#include "cloze/io/weights.h"
#include "cloze/model/bert_config.h"
#include "cloze/nn/parameter.h"

namespace cloze {

/// config.json of a model directory, its sizes held against the weights' file: a config that claims more than the
/// file can hold is refused before anything is allocated. Errors: as BertConfig::from_json; kValue.
BertConfig load_config(const ModelFiles& files);

/// Fills every parameter from the files; the values stay mapped where they are f32. A parameter that the files lack is
/// initialised from (seed, its name) if `may_initialise(name)` says so, else it is an error.
/// Errors: kNotFound, kShape, kUnsupported, kValue for NaN or infinite weights; each names the tensor and the file.
LoadReport load_parameters(Weights& weights, const ParameterList& parameters, double initializer_range, uint64_t seed,
                           const std::function<bool(const std::string& name)>& may_initialise);

/// Writes model.safetensors; F32 parameters as `dtype`, which is kF32 or a half-width float. Errors: kIo; those of
/// to_half.
void save_parameters(const ModelFiles& files, const ParameterList& parameters, DType dtype = DType::kF32);

}  // namespace cloze
