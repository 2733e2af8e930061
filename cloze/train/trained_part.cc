#include "cloze/train/trained_part.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"

namespace cloze {
namespace {

constexpr std::string_view kLayer = "bert.encoder.layer.";

/// The number after kLayer; -1 for what is in no layer.
int64_t layer_of(const std::string& name) {
  int64_t layer = -1;
  if (name.starts_with(kLayer)) std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
  return layer;
}

bool is_head(const std::string& name) {
  return !name.starts_with("bert.") || name.starts_with("bert.pooler.");
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

}  // namespace

TrainedPart parse_trained_part(const std::string& text) {
  using Kind = TrainedPart::Kind;
  if (text == "full") return {};
  if (text == "head") return {Kind::kHead, 0};
  if (text == "bitfit") return {Kind::kBitfit, 0};
  if (text == "lora") return {Kind::kLora, 0};
  if (text.starts_with("top=")) {
    TrainedPart part{Kind::kTop, 0};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 4, end, part.layers);
    CLOZE_CHECK(error == std::errc() && stop == end && part.layers >= 1, ErrorCode::kUsage,
                "--tune top=K takes a number of layers, 1 to those that the model has, got \"{}\"", text);
    return part;
  }
  fail(ErrorCode::kUsage, "--tune: unknown \"{}\"{}; there are full, head, top=K, bitfit, lora", text,
       did_you_mean(text, {"full", "head", "top=1", "bitfit", "lora"}));
}

int64_t height_of(const std::string& name, int64_t layers) {
  return is_head(name) ? layers + 1 : layer_of(name) + 1;
}

int64_t count_layers(const ParameterList& parameters) {
  int64_t layers = 0;
  for (const Parameter* parameter : parameters) layers = std::max(layers, layer_of(parameter->name) + 1);
  return layers;
}

void choose_trained(const ParameterList& parameters, const TrainedPart& part) {
  const int64_t layers = count_layers(parameters);
  CLOZE_CHECK(part.layers <= layers, ErrorCode::kUsage, "--tune top={}: the model has {} layers; give 1 to {}",
              part.layers, layers, layers);
  for (Parameter* parameter : parameters) {
    const int64_t height = height_of(parameter->name, layers);
    bool trained = height > layers;
    if (part.kind == TrainedPart::Kind::kFull) trained = true;
    if (part.kind == TrainedPart::Kind::kTop) trained = height > layers - part.layers;
    if (part.kind == TrainedPart::Kind::kBitfit) trained = trained || parameter->name.ends_with(".bias");
    parameter->set_trained(trained);
  }
}

std::vector<double> layer_rates(const ParameterList& trained, int64_t layers, double decay) {
  std::vector<double> rates;
  for (const Parameter* parameter : trained)
    rates.push_back(std::pow(decay, static_cast<double>(layers + 1 - height_of(parameter->name, layers))));
  return rates;
}

std::vector<int64_t> unfreezing_steps(const ParameterList& trained, int64_t layers, int64_t every) {
  std::vector<int64_t> steps;
  for (const Parameter* parameter : trained) steps.push_back((layers + 1 - height_of(parameter->name, layers)) * every);
  return steps;
}

std::string describe_trained(const ParameterList& parameters) {
  const int64_t all = count_elements(parameters), trained = count_elements(trained_of(parameters));
  return fmt::format("training {} of {} parameters ({:.{}f} %)", grouped(trained), grouped(all),
                     100.0 * static_cast<double>(trained) / static_cast<double>(std::max<int64_t>(1, all)),
                     trained == all ? 0 : 1);
}

}  // namespace cloze
