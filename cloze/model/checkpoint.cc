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

}  // namespace

BertConfig load_config(const ModelFiles& files) {
  const std::string where = files.path(ModelFiles::kConfig).string();
  CLOZE_CHECK(files.has(ModelFiles::kConfig) || !files.has("ensemble.json"), ErrorCode::kUsage,
              "{} is an ensemble of several models, which evaluate and predict take; for one of them give {}",
              files.dir().string(), files.path("member-1").string());
  BertConfig config = BertConfig::from_json(files.read_json(), where);
  const uintmax_t bytes = weight_bytes(files);
  // A byte a weight is the least that any format takes.
  const double least = config.encoder_elements();
  if (bytes == 0 || least <= static_cast<double>(bytes)) return config;
  const Weights weights{files.dir()};  // a file that is truncated, or no safetensors at all, says so itself
  fail(ErrorCode::kValue,
       "{}: {} layers of width {} need at least {:.0f} bytes of weights, but the weight files have {}", where,
       config.num_hidden_layers, config.hidden_size, least, bytes);
}

LoadReport load_parameters(Weights& weights, const ParameterList& parameters, double initializer_range, uint64_t seed,
                           const std::function<bool(const std::string& name)>& may_initialise, EightBits eight_bits) {
  std::vector<std::string> initialised;
  for (Parameter* parameter : parameters) {
    if (!weights.has(parameter->name) && may_initialise(parameter->name)) {
      parameter->initialize(seed, initializer_range);
      initialised.push_back(parameter->name);
      continue;
    }
    if (eight_bits == EightBits::kKeep && parameter->runs_as_int8 && weights.is_int8(parameter->name)) {
      const StoredInt8 stored = weights.get_int8(parameter->name, parameter->shape);
      parameter->var = {};
      parameter->int8 = std::make_shared<Int8Weight>(int8_weight(stored.values, stored.scales));
      continue;
    }
    Tensor value = weights.get(parameter->name, parameter->shape);
    check_finite(value, parameter->name, weights.file_of(parameter->name).string());
    parameter->set(std::move(value));
  }
  LoadReport report = weights.report();
  report.initialised = std::move(initialised);
  return report;
}

void append_int8(std::vector<NamedTensor>& tensors, const std::string& name, const Int8Weight& weight) {
  tensors.push_back({name, weight.values});
  tensors.push_back({name + "_scale", weight.scales.reshape({weight.scales.elements(), 1})});
}

void note_int8(Json& config) {
  config["quantization_config"] = {{"quant_method", "cloze"}, {"bits", 8}};
}

Json config_json(const BertConfig& config, const ParameterList& parameters) {
  Json json = config.to_json();
  if (std::ranges::any_of(parameters, [](const Parameter* parameter) { return parameter->int8 != nullptr; }))
    note_int8(json);
  return json;
}

void save_parameters(const ModelFiles& files, const ParameterList& parameters, DType dtype) {
  std::vector<NamedTensor> tensors;
  for (const Parameter* parameter : parameters) {
    if (parameter->int8 != nullptr) {
      append_int8(tensors, parameter->name, *parameter->int8);
      continue;
    }
    const Tensor& value = parameter->var.value();
    const bool halve = dtype != DType::kF32 && value.dtype() == DType::kF32;
    tensors.push_back({parameter->name, halve ? to_half(value, dtype) : value});
  }
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

}  // namespace cloze
