#include "cloze/compress/latency_table.h"

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "cloze/base/rng.h"
#include "cloze/model/bert.h"

namespace cloze {
namespace {

constexpr int64_t kTableRuns = 7;
constexpr double kLeastTableSeconds = 4;  ///< of timing, so that small models are run more often
constexpr int64_t kMostSteps = 24;

double seconds_taken(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The least seconds of each work, all in turns so that a noisy moment hits none alone.
std::vector<double> least_seconds(const std::vector<std::function<void()>>& works, int64_t runs) {
  std::vector<double> least(works.size(), std::numeric_limits<double>::infinity());
  for (const auto& work : works) work();
  double all = 0;
  for (int64_t run = 0; run < runs || (all < kLeastTableSeconds && run < 50 * runs); ++run)
    for (size_t i = 0; i < works.size(); ++i) {
      const double seconds = seconds_taken(works[i]);
      least[i] = std::min(least[i], seconds);
      all += seconds;
    }
  return least;
}

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
std::function<void()> pass_of(BertConfig config, EncoderLayer::Rows rows, const LatencyOptions& options) {
  constexpr int64_t kWords = 1000;  // nobody reads the others
  config.vocab_size = std::min(config.vocab_size, kWords);
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
  one.head_size = config.head_width();
  using Rows = EncoderLayer::Rows;
  const Rows last = options.pooled ? Rows::kPicked : Rows::kAll;
  const auto H = static_cast<size_t>(heads), S = static_cast<size_t>(table.steps(neurons)), each = 1 + H + S;
  std::vector<std::function<void()>> works;
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
  const std::vector<double> seconds = least_seconds(works, kTableRuns);
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

std::pair<double, double> measure_side_by_side(const BertConfig& first, const BertConfig& second,
                                               const LatencyOptions& options, int64_t runs) {
  const EncoderLayer::Rows rows = options.pooled ? EncoderLayer::Rows::kPicked : EncoderLayer::Rows::kAll;
  const std::vector<double> seconds =
      least_seconds({pass_of(first, rows, options), pass_of(second, rows, options)}, runs);
  return {seconds[0], seconds[1]};
}

}  // namespace cloze
