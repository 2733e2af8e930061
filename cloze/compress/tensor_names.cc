#include "cloze/compress/tensor_names.h"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace cloze
