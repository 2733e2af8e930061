// Which heads and neurons go: by shares of all, or until the model should be so many times faster.
#pragma once

#include <string>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/compress/importance.h"
#include "cloze/compress/latency_table.h"
#include "cloze/compress/structure.h"

namespace cloze {

/// Shares that are kept, each in [0, 1]; of layers at least one stays.
struct KeepShares {
  double heads = 1, ffn = 1, layers = 1, hidden = 1;
};
/// "heads=0.5,ffn=0.4,layers=0.5,hidden=0.75", any of them. Errors: kUsage.
KeepShares parse_keep(const std::string& text);

/// The layers that stay are the lowest: dropping the top ones costs least or nearly so (Sajjad et al., "On the Effect
/// of Dropping Layers of Pre-trained Transformer Models", 2023). Within them the most important heads, and neurons, of
/// all layers together, so that layers come out uneven; how many neurons a layer keeps is rounded to a multiple of
/// `multiple`, which the matrix product likes.
Structure keep_shares(const Importance& importance, const BertConfig& config, const KeepShares& shares,
                      int64_t multiple);

/// A goal beyond what taking out everything would reach.
class OutOfReach : public Error {
 public:
  explicit OutOfReach(std::string message) : Error(ErrorCode::kValue, std::move(message)) {}
};

/// How many times as fast the table says that the model would be without any head and neuron.
double most_speedup(const BertConfig& config, const LatencyTable& table);

/// Takes out, one after another, the head or the next neurons of a step of the table that cost least importance for the
/// time that they save, until the table says that the whole is `speedup` times as fast (after ZipLM: Kurtic et al.,
/// 2023). Errors: OutOfReach, with the most that is possible.
Structure keep_for_speed(const Importance& importance, const BertConfig& config, const LatencyTable& table,
                         double speedup);

}  // namespace cloze
