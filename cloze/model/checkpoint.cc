#include "cloze/model/checkpoint.h"

#include <algorithm>

namespace cloze {
namespace {

/// Bytes of all weight files of the directory, 0 where there are none.
uintmax_t weight_bytes(const ModelFiles& files) {
  uintmax_t total = 0;
  for (const std::string& name : files.list()) {
    std::error_code error;
    if (name.ends_with(".safetensors")) {
      const uintmax_t size = std::filesystem::file_size(files.path(name), error);
      if (!error) total += size;
    }
  }
  return total;
}

constexpr int32_t kInt8Offset = 128;  ///< of the integers that inputs become, 0 to 255, over those of a file

enum class Form : uint8_t { kFloats, kInt8, kSparse };
/// How it is written.
Form form_of(const Parameter& parameter) {
  if (parameter.compact != nullptr)
    return parameter.compact->precision == Precision::kInt8 ? Form::kInt8 : Form::kSparse;
  if (!parameter.stored_sparse || parameter.var.value().dtype() != DType::kF32) return Form::kFloats;
  return zero_share(parameter.var.value()) >= kStoreSparseFrom ? Form::kSparse : Form::kFloats;
}

SparseWeight sparse_of(const Parameter& parameter) {
  return parameter.compact != nullptr ? dynamic_cast<const SparseWeight&>(*parameter.compact)
                                      : sparse_weight(parameter.var.value());
}

/// Gives the parameter the stored form, where its owner can run it.
bool keeps(Parameter& parameter, Weights& weights) {
  if (parameter.runs_as_int8 && weights.is_int8(parameter.name)) {
    const StoredInt8 stored = weights.get_int8(parameter.name, parameter.shape);
    parameter.compact = std::make_shared<Int8Weight>(int8_weight(stored));
  } else if (parameter.runs_as_sparse && weights.is_sparse(parameter.name)) {
    const StoredSparse stored = weights.get_sparse(parameter.name, parameter.shape);
    check_finite(stored.values, parameter.name, weights.file_of(parameter.name).string());
    parameter.compact = std::make_shared<SparseWeight>(sparse_weight(stored.bits, stored.values, parameter.shape[1]));
  } else {
    return false;
  }
  parameter.var = {};
  return true;
}

}  // namespace

BertConfig load_config(const ModelFiles& files) {
  const std::string where = files.path(ModelFiles::kConfig).string();
  CLOZE_CHECK(files.has(ModelFiles::kConfig) || !files.has("ensemble.json"), ErrorCode::kUsage,
              "{} is an ensemble of several models, which evaluate and predict take; for one of them give {}",
              files.dir().string(), files.path("member-1").string());
  BertConfig config = BertConfig::from_json(files.read_json(), where);
  const uintmax_t bytes = weight_bytes(files);
  // A bit a weight is the least that any format takes.
  const double least = config.encoder_elements() / 8;
  if (bytes == 0 || least <= static_cast<double>(bytes)) return config;
  const Weights weights{files.dir()};  // a file that is truncated, or no safetensors at all, says so itself
  fail(ErrorCode::kValue,
       "{}: {} layers of width {} need at least {:.0f} bytes of weights, but the weight files have {}", where,
       config.num_hidden_layers, config.hidden_size, least, bytes);
}

LoadReport load_parameters(Weights& weights, const ParameterList& parameters, double initializer_range, uint64_t seed,
                           const std::function<bool(const std::string& name)>& may_initialise, Compact compact) {
  std::vector<std::string> initialised;
  for (Parameter* parameter : parameters) {
    if (!weights.has(parameter->name) && may_initialise(parameter->name)) {
      parameter->initialize(seed, initializer_range);
      initialised.push_back(parameter->name);
      continue;
    }
    parameter->stored_sparse = weights.is_sparse(parameter->name);
    if (compact == Compact::kKeep && keeps(*parameter, weights)) continue;
    Tensor value = weights.get(parameter->name, parameter->shape);
    check_finite(value, parameter->name, weights.file_of(parameter->name).string());
    parameter->set(std::move(value));
  }
  LoadReport report = weights.report();
  report.initialised = std::move(initialised);
  return report;
}

Int8Weight int8_weight(const StoredInt8& stored) {
  Int8Weight weight = int8_weight(stored.values, stored.scales);
  if (stored.inputs) weight.inputs = stored_scale(stored.inputs->scale, stored.inputs->zero + kInt8Offset);
  return weight;
}

void append_int8(std::vector<NamedTensor>& tensors, const std::string& name, const Int8Weight& weight) {
  tensors.push_back({name, weight.values});
  tensors.push_back({name + "_scale", weight.scales.reshape({weight.scales.elements(), 1})});
  if (!weight.inputs) return;
  const std::string layer = name.substr(0, name.rfind('.') + 1);
  tensors.push_back({layer + "input_scale", Tensor::of({1}, std::vector<float>{weight.inputs->scale})});
  tensors.push_back({layer + "input_zero_point",
                     Tensor::of({1}, std::vector<int8_t>{static_cast<int8_t>(weight.inputs->zero - kInt8Offset)})});
}

void append_sparse(std::vector<NamedTensor>& tensors, const std::string& name, const SparseWeight& weight,
                   DType dtype) {
  const Tensor shape = Tensor::of<int64_t>({2}, {weight.columns, weight.depth});
  tensors.push_back({name + ".compressed", dtype == DType::kF32 ? weight.values : to_half(weight.values, dtype)});
  tensors.push_back({name + ".bitmask", sparse_bits(weight)});
  tensors.push_back({name + ".shape", shape});
  tensors.push_back({name + ".row_offsets", weight.starts.rows(0, weight.columns)});
}

void CompactNote::write(Json& config) const {
  if (!int8 && !sparse) return;
  Json note = {{"quant_method", "cloze"}};
  if (int8) note["bits"] = 8;
  if (sparse) note["sparse"] = true;
  config["quantization_config"] = note;
}

Json config_json(const BertConfig& config, const ParameterList& parameters) {
  Json json = config.to_json();
  CompactNote note;
  for (const Parameter* parameter : parameters) {
    note.int8 = note.int8 || form_of(*parameter) == Form::kInt8;
    note.sparse = note.sparse || form_of(*parameter) == Form::kSparse;
  }
  note.write(json);
  return json;
}

void save_parameters(const ModelFiles& files, const ParameterList& parameters, DType dtype) {
  std::vector<NamedTensor> tensors;
  for (const Parameter* parameter : parameters) {
    const Form form = form_of(*parameter);
    if (form == Form::kInt8)
      append_int8(tensors, parameter->name, dynamic_cast<const Int8Weight&>(*parameter->compact));
    if (form == Form::kSparse) append_sparse(tensors, parameter->name, sparse_of(*parameter), dtype);
    if (form != Form::kFloats) continue;
    const Tensor& value = parameter->var.value();
    const bool halve = dtype != DType::kF32 && value.dtype() == DType::kF32;
    tensors.push_back({parameter->name, halve ? to_half(value, dtype) : value});
  }
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

}  // namespace cloze
