#include "cloze/compress/latency_table.h"

#include <array>
#include <memory>

#include "cloze/base/rng.h"
#include "cloze/compress/pass_timer.h"
#include "cloze/model/bert.h"

namespace cloze {
namespace {

constexpr PassRuns kTableRuns = {.runs = 7, .least_seconds = 4};
constexpr int64_t kMostSteps = 24;

RaggedBatch random_batch(const BertConfig& config, const LatencyOptions& options) {
  Rng rng(1, RandomStream::kTest);
  std::vector<std::vector<int32_t>> ids(static_cast<size_t>(options.batch));
  for (auto& row : ids)
    for (int64_t t = 0; t < std::min(options.length, config.max_position_embeddings); ++t)
      row.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(config.vocab_size))));
  return make_ragged_batch(ids, {});
}

/// A model of one layer with random weights, ready for inference.
std::shared_ptr<Bert> random_model(const BertConfig& config, EncoderLayer::Rows rows, Precision precision) {
  auto bert = std::make_shared<Bert>(config, Pooler::kWith);
  ParameterList parameters;
  bert->collect(parameters);
  for (Parameter* parameter : parameters) parameter->initialize(1, config.initializer_range);
  bert->freeze(rows, precision);
  return bert;
}

/// A pass whose last layer makes `rows`.
Pass pass_of(const BertConfig& config, EncoderLayer::Rows rows, const LatencyOptions& options) {
  const auto bert = random_model(config, rows, options.precision);
  return [bert, rows, batch = random_batch(config, options)] {
    const NoGrad no_grad;
    ForwardContext context;
    if (rows == EncoderLayer::Rows::kPicked)
      bert->pooled_only(batch, context);
    else
      bert->pooled(bert->forward(batch, context), batch);
  };
}

}  // namespace

LatencyTable measure_latency(const BertConfig& config, const LatencyOptions& options) {
  int64_t heads = 0, neurons = 0;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    heads = std::max(heads, config.layer(i).heads);
    neurons = std::max(neurons, config.layer(i).feed_forward);
  }
  LatencyTable table;
  table.step =
      std::max<int64_t>(1, (neurons / kMostSteps + options.multiple - 1) / options.multiple) * options.multiple;
  BertConfig one = config;
  one.num_hidden_layers = 1;
  constexpr int64_t kWords = 1000;  // of dozens of models; what their rows take is the same in all
  one.vocab_size = std::min(config.vocab_size, kWords);
  one.head_size = config.head_width();
  using Rows = EncoderLayer::Rows;
  const Rows last = options.pooled ? Rows::kPicked : Rows::kAll;
  const auto H = static_cast<size_t>(heads), S = static_cast<size_t>(table.steps(neurons)), each = 1 + H + S;
  std::vector<Pass> works;
  for (const Rows rows : {Rows::kAll, Rows::kPicked}) {
    if (rows == Rows::kPicked && last == Rows::kAll) break;
    const auto add = [&](int64_t own_heads, int64_t own_neurons) {
      one.layers = {{own_heads, own_neurons}};
      works.push_back(pass_of(one, rows, options));
    };
    add(0, 0);
    for (int64_t n = 1; n <= heads; ++n) add(n, 0);
    for (int64_t s = 1; s <= table.steps(neurons); ++s) add(0, table.neurons(s, neurons));
  }
  const std::vector<double> seconds = time_passes(works, kTableRuns, PassClock::kProcessor);
  // More of a layer takes no less time, and noise only adds to it: what took longer than a larger one took as long.
  const auto half = [&](size_t without, size_t begin, size_t count) {
    std::vector<double> of = {0};
    for (size_t i = 0; i < count; ++i) of.push_back(std::max(0.0, seconds[begin + i] - seconds[without]));
    for (size_t i = count; i > 1; --i) of[i - 1] = std::min(of[i - 1], of[i]);
    return of;
  };
  const auto layer = [&](size_t at) -> LatencyTable::Layer { return {half(at, at + 1, H), half(at, at + 1 + H, S)}; };
  table.inner = layer(0);
  table.last = layer(works.size() - each);
  table.rest = seconds[works.size() - each];
  return table;
}

namespace {

Pass pass_like(const BertConfig& config, const LatencyOptions& options) {
  return pass_of(config, options.pooled ? EncoderLayer::Rows::kPicked : EncoderLayer::Rows::kAll, options);
}

}  // namespace

double measure_speedup(const BertConfig& before, const BertConfig& after, const LatencyOptions& options, int64_t runs) {
  return times_as_fast(pass_like(before, options), pass_like(after, options), {.runs = runs, .least_seconds = 4});
}

double measure_seconds(const BertConfig& config, const LatencyOptions& options, int64_t runs) {
  const std::array<Pass, 1> pass = {pass_like(config, options)};
  return time_passes(pass, {.runs = runs, .least_seconds = 1}, PassClock::kWall).front();
}

}  // namespace cloze
