#include "cloze/compress/tensor_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cloze/base/error.h"
#include "cloze/io/bert_names.h"

namespace cloze {
namespace {

constexpr std::string_view kLayer = "bert.encoder.layer.";

}  // namespace

std::optional<LayerName> layer_name(const std::string& name) {
  if (!name.starts_with(kLayer)) return std::nullopt;
  const size_t dot = name.find('.', kLayer.size());
  if (dot == std::string::npos) return std::nullopt;
  const std::string digits = name.substr(kLayer.size(), dot - kLayer.size());
  if (digits.empty() || digits.size() > 9 || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return LayerName{std::stoll(digits), name.substr(dot + 1)};
}

std::string layer_tensor(int64_t layer, const std::string& rest) {
  return fmt::format("{}{}.{}", kLayer, layer, rest);
}

std::vector<std::string> canonical_names(const Weights& weights) {
  std::vector<std::string> names;
  for (const std::string& name : weights.names())
    if (std::string canonical = canonical_bert_name(name); !is_redundant_bert_name(canonical))
      names.push_back(std::move(canonical));
  return names;
}

Tensor stored_tensor(Weights& weights, const std::string& name) {
  const std::optional<Tensor> found = weights.find(name);
  CLOZE_CHECK(found.has_value(), ErrorCode::kNotFound, "{}: there is no tensor {}", weights.source().string(), name);
  const DType type = weights.stored_type(name);
  return found->dtype() == DType::kF32 && type != DType::kF32 ? to_half(*found, type) : *found;
}

Tensor pick_columns(const Tensor& x, const std::vector<int64_t>& groups, int64_t width) {
  const bool vector = x.shape().rank() == 1;
  const int64_t M = vector ? 1 : x.shape()[0], K = vector ? x.shape()[0] : x.shape()[1];
  const int64_t kept = static_cast<int64_t>(groups.size()) * width, size = dtype_bytes(x.dtype());
  const Tensor y(vector ? Shape({kept}) : Shape({M, kept}), x.dtype());
  const char* from = static_cast<const char*>(x.raw());
  char* to = static_cast<char*>(y.raw());
  for (int64_t m = 0; m < M; ++m)
    for (const int64_t group : groups) {
      std::memcpy(to, from + (m * K + group * width) * size, static_cast<size_t>(width * size));
      to += width * size;
    }
  return y;
}

Tensor pick_rows(const Tensor& x, const std::vector<int64_t>& groups, int64_t width) {
  const int64_t K = x.shape()[1];
  return pick_columns(x.reshape({x.elements()}), groups, width * K)
      .reshape({static_cast<int64_t>(groups.size()) * width, K});
}

}  // namespace cloze
