#include "cloze/nn/parameter.h"

#include "cloze/base/rng.h"

namespace cloze {
namespace {

/// FNV-1a: gives each name its own random stream.
uint32_t name_hash(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace

void Parameter::set(Tensor value) {
  CLOZE_CHECK(value.shape() == shape, ErrorCode::kShape, "{} must be {}, got {}", name, shape, value.shape());
  compact = nullptr;
  var = trained ? Var::leaf(std::move(value)) : Var(std::move(value));
}

void Parameter::set_trained(bool on) {
  if (trained == on) return;
  trained = on;
  if (var.defined()) set(var.value());
}

void Parameter::initialize(uint64_t seed, double std, DType dtype) {
  if (init != Init::kNormal) return set(Tensor::full(shape, dtype, init == Init::kOnes ? 1.0 : 0.0));
  Rng rng(seed, RandomStream::kInit, name_hash(name));
  const Tensor value(shape, dtype);
  const auto fill = [&](auto values) {
    for (auto& v : values) v = static_cast<std::remove_reference_t<decltype(v)>>(rng.normal() * std);
  };
  if (dtype == DType::kF64)
    fill(value.values<double>());
  else
    fill(value.values<float>());
  set(value);
}

int64_t count_elements(const ParameterList& parameters) {
  int64_t total = 0;
  for (const Parameter* parameter : parameters) total += parameter->shape.elements();
  return total;
}

ParameterList trained_of(const ParameterList& parameters) {
  ParameterList trained;
  for (Parameter* parameter : parameters)
    if (parameter->trained) trained.push_back(parameter);
  return trained;
}

}  // namespace cloze
