#include "cloze/train/tuning.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "cloze/base/suggest.h"
#include "cloze/model/bert.h"
#include "cloze/train/trained_part.h"

namespace cloze {
namespace {

/// "query,value" or "all". Errors: kUsage.
std::vector<std::string> parse_targets(const std::string& text) {
  const std::vector<std::string>& known = EncoderLayer::adapter_targets();
  if (text == "all") return known;
  std::vector<std::string> targets;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    targets.push_back(text.substr(begin, end - begin));
    CLOZE_CHECK(std::ranges::find(known, targets.back()) != known.end(), ErrorCode::kUsage,
                "--lora-targets: unknown \"{}\"{}; there are {}, all", targets.back(),
                did_you_mean(targets.back(), known), fmt::join(known, ", "));
    begin = end + 1;
  }
  return targets;
}

}  // namespace

void TuningOptions::check() const {
  using Kind = TrainedPart::Kind;
  const TrainedPart part = parse_trained_part(tune);
  CLOZE_CHECK(layer_decay > 0 && layer_decay <= 1, ErrorCode::kUsage, "--layer-decay must be in (0, 1], got {}",
              layer_decay);
  CLOZE_CHECK(layer_decay == 1 || part.kind != Kind::kHead, ErrorCode::kUsage,
              "--layer-decay is for trained layers, and --tune head trains none");
  CLOZE_CHECK(ema >= 0 && ema < 1, ErrorCode::kUsage, "--ema must be in [0, 1), got {}", ema);
  CLOZE_CHECK(fgm >= 0 && fgm < 1e6, ErrorCode::kUsage, "--fgm must be in [0, 1000000), got {}", fgm);
  CLOZE_CHECK(start_decay >= 0 && start_decay < 1e6, ErrorCode::kUsage, "--start-decay must be in [0, 1000000), got {}",
              start_decay);
  CLOZE_CHECK(unfreeze_steps >= 0, ErrorCode::kUsage, "--unfreeze-steps must not be negative, got {}", unfreeze_steps);
  CLOZE_CHECK((unfreeze_steps == 0 && start_decay == 0) || part.kind != Kind::kHead, ErrorCode::kUsage,
              "--unfreeze-steps and --start-decay are for trained layers, and --tune head trains none");
  CLOZE_CHECK(reinit_layers >= 0, ErrorCode::kUsage, "--reinit-layers must not be negative, got {}", reinit_layers);
  CLOZE_CHECK(reinit_layers == 0 || part.kind == Kind::kFull || part.layers >= reinit_layers, ErrorCode::kUsage,
              "--reinit-layers {} would leave random layers that --tune {} does not train; take --tune full or top={}",
              reinit_layers, tune, reinit_layers);
  const TuningOptions plain;
  CLOZE_CHECK(
      part.kind == Kind::kLora ||
          (lora_rank == plain.lora_rank && lora_alpha == plain.lora_alpha && lora_targets == plain.lora_targets),
      ErrorCode::kUsage, "--lora-rank, --lora-alpha and --lora-targets go with --tune lora only, got --tune {}", tune);
  CLOZE_CHECK(!keep_zeros || part.kind != Kind::kLora, ErrorCode::kUsage,
              "--keep-zeros: what --tune lora adds to a weight has no zeros; take another --tune");
  CLOZE_CHECK(lora_rank >= 1, ErrorCode::kUsage, "--lora-rank must be at least 1, got {}", lora_rank);
  CLOZE_CHECK(lora_alpha > 0 && lora_alpha < 1e6, ErrorCode::kUsage, "--lora-alpha must be in (0, 1000000), got {}",
              lora_alpha);
  parse_targets(lora_targets);
}

namespace {

/// The highest layers and the pooler anew (Zhang et al., "Revisiting few-sample BERT fine-tuning", 2021).
void reinitialise(TrainingTask& task, const TrainOptions& options) {
  const int64_t count = options.tuning.reinit_layers;
  if (count == 0) return;
  const ParameterList parameters = task.parameters();
  const int64_t layers = count_layers(parameters);
  CLOZE_CHECK(count <= layers, ErrorCode::kUsage, "--reinit-layers {}: the model has {} layers; give 0 to {}", count,
              layers, layers);
  for (Parameter* parameter : parameters)
    if (height_of(parameter->name, layers) > layers - count)
      parameter->initialize(static_cast<uint64_t>(options.seed), task.initializer_range());
}

}  // namespace

void apply_tuning(TrainingTask& task, const TrainOptions& options) {
  options.tuning.check();
  apply_trained_part(task.parameters(), task.encoder(), options.tuning, static_cast<uint64_t>(options.seed));
  reinitialise(task, options);
}

void apply_trained_part(const ParameterList& parameters, Bert* encoder, const TuningOptions& options, uint64_t seed) {
  const TrainedPart part = parse_trained_part(options.tune);
  choose_trained(parameters, part);
  if (part.kind != TrainedPart::Kind::kLora) return;
  CLOZE_CHECK(encoder != nullptr, ErrorCode::kUsage, "--tune lora: this task's model takes no adapters");
  ParameterList adapters;
  encoder->collect_adapters(adapters);
  if (adapters.empty())
    encoder->add_adapters(parse_targets(options.lora_targets),
                          {.rank = options.lora_rank, .alpha = options.lora_alpha, .seed = seed});
}

ParameterList all_parameters(TrainingTask& task) {
  ParameterList all = task.parameters();
  if (Bert* encoder = task.encoder()) encoder->collect_adapters(all);
  return all;
}

MergedAdapters::MergedAdapters(TrainingTask& task) : encoder_(task.encoder()) {
  if (encoder_ != nullptr) encoder_->merge_adapters();
}

MergedAdapters::~MergedAdapters() {
  if (encoder_ != nullptr) encoder_->unmerge_adapters();
}

}  // namespace cloze
