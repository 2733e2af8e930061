// Parameters to and from the weights of a model directory.
#pragma once

#include <functional>

#include "cloze/backend/int8.h"
#include "cloze/backend/sparse.h"
#include "cloze/io/model_dir.h"
#include "cloze/io/weights.h"
#include "cloze/model/bert_config.h"
#include "cloze/nn/parameter.h"

namespace cloze {

/// config.json of a model directory, its sizes held against the weights' file: a config that claims more than the
/// file can hold is refused before anything is allocated. Errors: as BertConfig::from_json; kValue.
BertConfig load_config(const ModelFiles& files);

/// What becomes of weights that are stored in 8 bits or without their zeros: floats, or (for inference) what they are
/// where their owner can run them so.
enum class Compact : uint8_t { kExpand, kKeep };

/// Fills every parameter from the files; the values stay mapped where they are f32. A parameter that the files lack is
/// initialised from (seed, its name) if `may_initialise(name)` says so, else it is an error.
/// Errors: kNotFound, kShape, kUnsupported, kValue for NaN or infinite weights; each names the tensor and the file.
LoadReport load_parameters(Weights& weights, const ParameterList& parameters, double initializer_range, uint64_t seed,
                           const std::function<bool(const std::string& name)>& may_initialise,
                           Compact compact = Compact::kExpand);

/// Appends a weight of 8 bits and its scales (weights.h) to what write_safetensors() is to write.
void append_int8(std::vector<NamedTensor>& tensors, const std::string& name, const Int8Weight& weight);
/// The weight that a file holds.
Int8Weight int8_weight(const StoredInt8& stored);

/// Appends a weight without its zeros (weights.h), its numbers as `dtype`, kF32 or a half-width float.
void append_sparse(std::vector<NamedTensor>& tensors, const std::string& name, const SparseWeight& weight, DType dtype);
/// Below this share of zeros a weight is written whole.
constexpr double kStoreSparseFrom = 0.5;

/// Says in config.json {"quantization_config": {"quant_method": "cloze", "bits": 8, "sparse": true}}, each of the last
/// two if it is so: other readers, who would take the integers for weights or find none, refuse then.
struct CompactNote {
  bool int8 = false, sparse = false;
  void write(Json& config) const;
};
/// config.json for these parameters, with the note where some are written compact.
Json config_json(const BertConfig& config, const ParameterList& parameters);

/// Writes model.safetensors; F32 parameters as `dtype`, which is kF32 or a half-width float; what is compact as it is.
/// Errors: kIo; those of to_half.
void save_parameters(const ModelFiles& files, const ParameterList& parameters, DType dtype = DType::kF32);

}  // namespace cloze
