#include "cloze/compress/choose_structure.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"

namespace cloze {
namespace {

/// Numbers of `scores`, the most important first; of equal ones the lower number.
std::vector<int64_t> ranked(const std::vector<double>& scores) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, [&](int64_t a, int64_t b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
  return order;
}

/// The `count` most important, in rising order.
std::vector<int64_t> best(const std::vector<int64_t>& order, int64_t count) {
  std::vector<int64_t> numbers(order.begin(), order.begin() + count);
  std::ranges::sort(numbers);
  return numbers;
}

/// How many of each layer are among the `share` most important of all.
std::vector<int64_t> counts_within(const std::vector<std::vector<double>>& scores, size_t layers, double share) {
  struct Unit {
    double score;
    size_t layer;
  };
  std::vector<Unit> units;
  for (size_t layer = 0; layer < layers; ++layer)
    for (const double score : scores[layer]) units.push_back({score, layer});
  std::ranges::stable_sort(units, [](const Unit& a, const Unit& b) { return a.score > b.score; });
  const auto kept = static_cast<size_t>(std::lround(share * static_cast<double>(units.size())));
  std::vector<int64_t> counts(layers, 0);
  for (size_t i = 0; i < kept; ++i) ++counts[units[i].layer];
  return counts;
}

double parse_share(const std::string& name, const std::string& text) {
  double share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  CLOZE_CHECK(error == std::errc() && end == text.data() + text.size() && share >= 0 && share <= 1, ErrorCode::kUsage,
              "--keep {}={}: a share is a number from 0 to 1", name, text);
  return share;
}

}  // namespace

KeepShares parse_keep(const std::string& text) {
  KeepShares shares;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const size_t equal = part.find('=');
    CLOZE_CHECK(equal != std::string::npos, ErrorCode::kUsage,
                "--keep takes shares as heads=0.5,ffn=0.4,layers=0.5,hidden=0.75, got \"{}\"", text);
    const std::string name = part.substr(0, equal);
    double* share = name == "heads" ? &shares.heads : name == "ffn" ? &shares.ffn : nullptr;
    if (name == "layers") share = &shares.layers;
    if (name == "hidden") share = &shares.hidden;
    CLOZE_CHECK(share != nullptr, ErrorCode::kUsage, "--keep: unknown \"{}\"{}; there are heads, ffn, layers, hidden",
                name, did_you_mean(name, {"heads", "ffn", "layers", "hidden"}));
    *share = parse_share(name, part.substr(equal + 1));
    begin = end + 1;
  }
  return shares;
}

Structure keep_shares(const Importance& importance, const BertConfig& config, const KeepShares& shares,
                      int64_t multiple) {
  const auto layers = static_cast<size_t>(
      std::max<int64_t>(1, std::lround(shares.layers * static_cast<double>(config.num_hidden_layers))));
  const std::vector<int64_t> heads = counts_within(importance.heads, layers, shares.heads),
                             neurons = counts_within(importance.neurons, layers, shares.ffn);
  Structure keep;
  for (size_t i = 0; i < layers; ++i) {
    const auto all = static_cast<int64_t>(importance.neurons[i].size());
    const int64_t rounded = (neurons[i] + multiple / 2) / multiple * multiple;
    keep.push_back({static_cast<int64_t>(i), best(ranked(importance.heads[i]), heads[i]),
                    best(ranked(importance.neurons[i]), neurons[i] == all ? all : std::min(all, rounded))});
  }
  return keep;
}

namespace {

/// Seconds of the whole model, by the table.
double seconds_of(const BertConfig& config, const LatencyTable& table) {
  double seconds = table.rest;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const LatencyTable::Layer& layer = table.of(i, config.num_hidden_layers);
    seconds += layer.attention[static_cast<size_t>(config.layer(i).heads)] +
               layer.feed_forward[static_cast<size_t>(table.steps(config.layer(i).feed_forward))];
  }
  return seconds;
}

}  // namespace

double most_speedup(const BertConfig& config, const LatencyTable& table) {
  double least = table.rest;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const LatencyTable::Layer& layer = table.of(i, config.num_hidden_layers);
    least += layer.attention[0] + layer.feed_forward[0];
  }
  return seconds_of(config, table) / least;
}

Structure keep_for_speed(const Importance& importance, const BertConfig& config, const LatencyTable& table,
                         double speedup) {
  const auto L = static_cast<size_t>(config.num_hidden_layers);
  std::vector<std::vector<int64_t>> heads(L), neurons(L);
  std::vector<int64_t> kept_heads(L), kept_steps(L);
  for (size_t i = 0; i < L; ++i) {
    heads[i] = ranked(importance.heads[i]);
    neurons[i] = ranked(importance.neurons[i]);
    kept_heads[i] = std::ssize(heads[i]);
    kept_steps[i] = table.steps(std::ssize(neurons[i]));
  }
  const double most = most_speedup(config, table);
  if (most < speedup)
    throw OutOfReach(
        fmt::format("--target-speedup {}: without any head and neuron the encoder would be {:.2f} times as fast, which "
                    "is the most that is possible",
                    speedup, most));
  double seconds = seconds_of(config, table);
  const double wanted = seconds / speedup;
  const auto lost = [](const std::vector<int64_t>& order, const std::vector<double>& scores, int64_t from, int64_t to) {
    double sum = 0;
    for (int64_t k = from; k < to; ++k) sum += scores[static_cast<size_t>(order[static_cast<size_t>(k)])];
    return sum;
  };
  while (seconds > wanted) {
    double cheapest = std::numeric_limits<double>::infinity(), saved = 0;
    int64_t* count = nullptr;
    const auto offer = [&](double importance_lost, double seconds_saved, int64_t& of) {
      // Where the clock sees no gain the step is still a way to further ones, the last resort.
      const double price = importance_lost / std::max(seconds_saved, 1e-12);
      if (price < cheapest) cheapest = price, saved = seconds_saved, count = &of;
    };
    for (size_t i = 0; i < L; ++i) {
      const LatencyTable::Layer& layer = table.of(static_cast<int64_t>(i), config.num_hidden_layers);
      if (const int64_t n = kept_heads[i]; n > 0)
        offer(lost(heads[i], importance.heads[i], n - 1, n),
              layer.attention[static_cast<size_t>(n)] - layer.attention[static_cast<size_t>(n - 1)], kept_heads[i]);
      if (const int64_t n = kept_steps[i]; n > 0)
        offer(lost(neurons[i], importance.neurons[i], table.neurons(n - 1, std::ssize(neurons[i])),
                   table.neurons(n, std::ssize(neurons[i]))),
              layer.feed_forward[static_cast<size_t>(n)] - layer.feed_forward[static_cast<size_t>(n - 1)],
              kept_steps[i]);
    }
    if (count == nullptr) break;
    --*count;
    seconds -= saved;
  }
  Structure keep;
  for (size_t i = 0; i < L; ++i)
    keep.push_back({static_cast<int64_t>(i), best(heads[i], kept_heads[i]),
                    best(neurons[i], table.neurons(kept_steps[i], std::ssize(neurons[i])))});
  return keep;
}

}  // namespace cloze
