#include "cases.h"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <numbers>

namespace cloze::test {
namespace {

constexpr int64_t kGuardElements = 16;

Tensor poisoned(const Shape& shape, DType dtype) {
  return Tensor::full(shape, dtype, dtype == DType::kI32 ? -1.0 : std::numeric_limits<double>::quiet_NaN());
}

/// The seed of a case: its name, hashed (FNV-1a), so that a new row leaves the others as they were.
uint64_t seed_of(const std::string& name) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

std::vector<Case> joined(std::initializer_list<std::vector<Case> (*)()> parts) {
  std::vector<Case> all;
  for (const auto part : parts)
    for (Case& one : part()) all.push_back(std::move(one));
  return all;
}

}  // namespace

Tensor CallBuilder::normal(const Shape& shape, double sigma, double offset) {
  const Tensor master(shape, DType::kF64);
  for (double& value : master.values<double>()) {
    // The sum of four uniform 16-bit numbers, a fifth of Box-Muller's time; the half keeps it from being exactly 0.
    const uint64_t bits = rng_.next_u64();
    const uint64_t sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
    const double standard = (static_cast<double>(sum) - 131069.5) / 65536 * std::numbers::sqrt3;
    value = static_cast<float>(offset + sigma * standard);
  }
  return master;
}

Tensor CallBuilder::integers(const Shape& shape, int64_t low, int64_t high) {
  const Tensor master(shape, DType::kI32);
  for (int32_t& value : master.values<int32_t>())
    value = static_cast<int32_t>(low + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(high - low))));
  return master;
}

Tensor CallBuilder::place(const Tensor& values) {
  if (setting_.placement == Placement::kPlain) return values.clone();
  // One element past a 64-byte border: what rows() of an odd width and mapped files may give.
  const int64_t begin = kGuardElements + 1, count = values.elements();
  const Tensor memory = poisoned({begin + count + kGuardElements}, values.dtype());
  auto* data = static_cast<std::byte*>(memory.raw()) + begin * dtype_bytes(values.dtype());
  const Tensor placed = Tensor::view(values.shape(), values.dtype(), data, std::make_shared<Tensor>(memory));
  placed.copy_from(values);
  call.guards.push_back({memory, begin, count});
  return placed;
}

Tensor CallBuilder::input(const Tensor& master) {
  if (!master.defined()) return {};
  const Tensor placed = place(master.dtype() == DType::kI32 ? master : to_float(master, setting_.dtype));
  call.inputs.push_back(placed);
  call.bytes += static_cast<double>(placed.bytes());
  return placed;
}

Tensor CallBuilder::saved(const Tensor& exact) {
  if (!exact.defined() || setting_.saved == Saved::kExact) return input(exact);
  return input(to_float(to_float(exact, DType::kF32), DType::kF64));
}

Tensor CallBuilder::output(const std::string& name, const Shape& shape) {
  const Tensor placed = place(poisoned(shape, setting_.dtype));
  call.bytes += static_cast<double>(placed.bytes());
  call.outputs.push_back({name, placed});
  return placed;
}

Tensor CallBuilder::output_f64(const std::string& name, const Shape& shape) {
  const Tensor placed = place(poisoned(shape, DType::kF64));
  call.outputs.push_back({name, placed});
  return placed;
}

Tensor CallBuilder::in_place(const std::string& name, const Tensor& master) {
  const Tensor placed = place(to_float(master, setting_.dtype));
  call.bytes += 2 * static_cast<double>(placed.bytes());
  call.outputs.push_back({name, placed});
  return placed;
}

Call Case::make(const Setting& setting) const {
  CallBuilder builder(setting, seed_of(kernel + name));
  build(builder);
  return std::move(builder.call);
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases =
      joined({linear_cases, attention_cases, layer_norm_cases, embedding_cases, loss_cases, elementwise_cases});
  return cases;
}

const std::vector<Case>& timing_cases() {
  static const std::vector<Case> cases = joined({linear_timing_cases, attention_timing_cases, layer_norm_timing_cases,
                                                 embedding_timing_cases, loss_timing_cases, elementwise_timing_cases});
  return cases;
}

std::vector<std::string> all_kernels() {
  std::vector<std::string> kernels;
  for (const Case& one : all_cases())
    if (kernels.empty() || kernels.back() != one.kernel) kernels.push_back(one.kernel);
  return kernels;
}

Tensor zeros_f64(const Shape& shape) {
  return Tensor::zeros(shape, DType::kF64);
}

Tensor mapped(const Tensor& x, const std::function<double(double, int64_t)>& function) {
  if (!x.defined()) return {};
  const Tensor y(x.shape(), DType::kF64);
  for (int64_t i = 0; i < x.elements(); ++i) y.data<double>()[i] = function(x.data<double>()[i], i);
  return y;
}

Tensor absolute(const Tensor& x) {
  return mapped(x, [](double value, int64_t) { return std::abs(value); });
}

Tensor offsets_of(const std::vector<int64_t>& lengths) {
  std::vector<int32_t> offsets = {0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + static_cast<int32_t>(length));
  return Tensor::of({static_cast<int64_t>(offsets.size())}, offsets);
}

}  // namespace cloze::test
