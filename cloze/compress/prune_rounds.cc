#include "cloze/compress/prune_rounds.h"

#include <algorithm>
#include <cmath>

#include "cloze/compress/measure_models.h"
#include "cloze/compress/narrow.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"

namespace cloze {
namespace {

constexpr int64_t kTries = 4;  ///< rounds beyond those asked for, where the clock wants more than the table thought
constexpr int64_t kRoundRuns = 5;

BertConfig config_of(const Path& folder) {
  return load_config(ModelFiles::open(folder));
}

/// Heads and neurons in all.
std::pair<double, double> units_of(const BertConfig& config) {
  double heads = 0, neurons = 0;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    heads += static_cast<double>(config.layer(i).heads);
    neurons += static_cast<double>(config.layer(i).feed_forward);
  }
  return {heads, neurons};
}

/// Bytes of halves of layers in place of their seconds: what keep_for_speed() needs to make a model smaller.
LatencyTable size_table(const Path& model, const BertConfig& config, int64_t multiple) {
  int64_t heads = 0, neurons = 0;
  double layers = 0;
  const ModelSize size = model_size(model);
  const double each = static_cast<double>(size.bytes) / static_cast<double>(std::max<int64_t>(1, size.parameters));
  const int64_t H = config.hidden_size, W = config.head_width();
  const auto of_heads = [&](int64_t n) { return each * static_cast<double>(n * (4 * H * W + 3 * W)); };
  const auto of_neurons = [&](int64_t n) { return each * static_cast<double>(n * (2 * H + 1)); };
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const LayerShape shape = config.layer(i);
    heads = std::max(heads, shape.heads);
    neurons = std::max(neurons, shape.feed_forward);
    layers += of_heads(shape.heads) + of_neurons(shape.feed_forward);
  }
  LatencyTable table;
  table.step = multiple;
  for (int64_t n = 0; n <= heads; ++n) table.inner.attention.push_back(of_heads(n));
  for (int64_t s = 0; s <= table.steps(neurons); ++s)
    table.inner.feed_forward.push_back(of_neurons(table.neurons(s, neurons)));
  table.last = table.inner;
  table.rest = std::max(0.0, static_cast<double>(size.bytes) - layers);
  return table;
}

class Rounds {
 public:
  Rounds(const Path& model, const PruneGoal& goal, const PruneWork& work)
      : whole_(model), goal_(goal), work_(work), model_(model), rounds_(goal.rounds) {
    goal_.latency.pooled = has_pooler(model);
  }

  Path go() {
    const BertConfig whole = config_of(whole_);
    if (goal_.of != PruneGoal::Of::kShares) make_table(whole);
    // First layers, then the hidden width: the other shares are of what stays.
    if (goal_.of == PruneGoal::Of::kShares && goal_.shares.layers < 1) {
      Structure lowest = whole_structure(whole);
      lowest.resize(std::max<size_t>(
          1, static_cast<size_t>(std::lround(goal_.shares.layers * static_cast<double>(lowest.size())))));
      if (!take(lowest)) return model_;
    }
    if (goal_.of == PruneGoal::Of::kShares && goal_.shares.hidden < 1) {
      const Importance importance = work_.weigh(model_, config_of(model_), "");
      const auto kept = keep_hidden(importance.hidden, goal_.shares.hidden, goal_.latency.multiple);
      if (!take([&](const Path& next) { write_narrow(model_, next, kept); })) return model_;
    }
    const auto [all_heads, all_neurons] = units_of(config_of(model_));
    const int64_t most = goal_.of == PruneGoal::Of::kShares ? rounds_ : rounds_ + kTries;
    for (int64_t round = 1; round <= most; ++round) {
      const BertConfig now = config_of(model_);
      const std::string name = rounds_ > 1 ? fmt::format(", round {} of {}", std::min(round, rounds_), rounds_) : "";
      const Importance importance = work_.weigh(model_, now, name);
      const double part = std::min(1.0, static_cast<double>(round) / static_cast<double>(rounds_));
      const Structure keep = goal_.of == PruneGoal::Of::kShares
                                 ? by_shares(importance, now, part, all_heads, all_neurons)
                                 : by_cost(importance, now, part, round);
      if (!take(keep)) return model_;
      if (goal_.of == PruneGoal::Of::kShares) continue;
      reached_ = measure(whole);
      if (round >= rounds_ && reached_ >= goal_.factor) break;
      if (most_speedup(config_of(model_), table_) <= 1) break;  // nothing is left to go
    }
    if (goal_.of != PruneGoal::Of::kShares && reached_ < goal_.factor)
      work_.say(
          fmt::format("note: {:.2f} times as {} is what came of it, not {:.2f}", reached_, adjective(), goal_.factor));
    return model_;
  }

 private:
  const char* adjective() const { return goal_.of == PruneGoal::Of::kBytes ? "small" : "fast"; }

  void make_table(const BertConfig& whole) {
    if (goal_.of == PruneGoal::Of::kSeconds) {
      work_.say("timing layers of all widths on this machine");
      table_ = measure_latency(whole, goal_.latency);
    } else {
      table_ = size_table(whole_, whole, goal_.latency.multiple);
    }
    const double most = most_speedup(whole, table_);
    if (most >= goal_.factor) return;
    throw OutOfReach(fmt::format(
        "{:.3g} times as {} cannot be: without any head and neuron the {} would be {:.2f} times as {}, which is the "
        "most that is possible{}",
        goal_.factor, adjective(), goal_.of == PruneGoal::Of::kBytes ? "model" : "encoder", most, adjective(),
        goal_.of == PruneGoal::Of::kBytes ? " without --vocabulary, which takes embeddings" : ""));
  }

  Structure by_shares(const Importance& importance, const BertConfig& now, double part, double all_heads,
                      double all_neurons) const {
    const auto [heads, neurons] = units_of(now);
    const auto share = [&](double wanted, double all, double left) {
      return left == 0 ? 1 : std::min(1.0, std::pow(wanted, part) * all / left);
    };
    const KeepShares own{share(goal_.shares.heads, all_heads, heads), share(goal_.shares.ffn, all_neurons, neurons), 1};
    return keep_shares(importance, now, own, part < 1 ? 1 : goal_.latency.multiple);
  }

  /// By what was measured, not by the table's sum: where the whole is slower than that thinks, more is asked for.
  Structure by_cost(const Importance& importance, const BertConfig& now, double part, int64_t round) const {
    double factor = std::max(1.005, std::pow(goal_.factor, part) / reached_);
    if (round > 1) factor = std::min(factor, most_speedup(now, table_));
    return keep_for_speed(importance, now, table_, factor);
  }

  double measure(const BertConfig& whole) const {
    if (goal_.of == PruneGoal::Of::kBytes)
      return static_cast<double>(model_size(whole_).bytes) / static_cast<double>(model_size(model_).bytes);
    return measure_speedup(whole, config_of(model_), goal_.latency, kRoundRuns);
  }

  /// The next model; false, and the one before stays, where it has lost too much.
  bool take(const Structure& keep) {
    return take([&](const Path& next) { write_pruned(model_, next, keep, {}); });
  }
  bool take(const std::function<void(const Path& next)>& write) {
    const int64_t step = ++steps_;
    const Path next = work_.folder / fmt::format("round-{}", step);
    write(next);
    const Path trained = work_.recover ? work_.recover(next, step) : next;
    if (trained != next) std::filesystem::remove_all(next);
    if (work_.within && !work_.within(trained)) {
      std::filesystem::remove_all(trained);
      return false;
    }
    if (model_ != whole_) std::filesystem::remove_all(model_);
    model_ = trained;
    return true;
  }

  const Path whole_;
  PruneGoal goal_;
  const PruneWork& work_;
  Path model_;
  const int64_t rounds_;
  LatencyTable table_;
  double reached_ = 1;
  int64_t steps_ = 0;  ///< models made
};

}  // namespace

Path prune_in_rounds(const Path& model, const PruneGoal& goal, const PruneWork& work) {
  return Rounds(model, goal, work).go();
}

}  // namespace cloze
