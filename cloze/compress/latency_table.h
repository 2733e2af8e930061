// What the halves of an encoder layer take on this machine, by how much of them is left.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/model/bert_config.h"

namespace cloze {

struct LatencyOptions {
  int64_t batch = 8, length = 128;  ///< rows a pass, tokens a row
  int64_t multiple = 16;            ///< steps of neurons are multiples of it
  Precision precision = Precision::kF32;
  /// A pooler reads each row's first token alone: the last layer makes no others, and takes less than those before it.
  bool pooled = false;
};

/// Seconds of processor time a pass on one thread, the least of several: a busy machine must not decide which half of a
/// layer goes. More threads divide both halves about alike.
struct LatencyTable {
  struct Layer {
    std::vector<double> attention, feed_forward;  ///< with 0, 1, 2, … heads; with 0, 1, 2, … steps of neurons
  };
  int64_t step = 0;  ///< neurons a step
  Layer inner;       ///< each layer but the last
  Layer last;
  double rest = 0;  ///< embeddings, layer norms, pooler
  const Layer& of(int64_t layer, int64_t layers) const { return layer + 1 == layers ? last : inner; }
  /// Steps that hold `neurons`, the last one perhaps in part; and the neurons of so many steps.
  int64_t steps(int64_t neurons) const { return (neurons + step - 1) / step; }
  int64_t neurons(int64_t steps, int64_t all) const { return std::min(steps * step, all); }
};

/// Times layers of random weights. Takes seconds to a minute. Of layers that were pruned, as many
/// heads and neurons as the largest has.
LatencyTable measure_latency(const BertConfig& config, const LatencyOptions& options);

/// How many times as fast as a model of the first shape one of the second is, random weights and tokens, the least of
/// `runs` passes each: see times_as_fast().
double measure_speedup(const BertConfig& before, const BertConfig& after, const LatencyOptions& options, int64_t runs);

/// Seconds a pass of the team's threads, by the wall.
double measure_seconds(const BertConfig& config, const LatencyOptions& options, int64_t runs);

}  // namespace cloze
