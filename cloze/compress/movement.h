// What matters by where training moves it (Sanh et al., "Movement Pruning: Adaptive Sparsity by Fine-Tuning", 2020).
//
// While the model is tuned, the score of a weight w is minus the sum over steps of w dL/dw: positive where the steps
// take it away from 0, negative where they take it there. A head's, a neuron's and a hidden number's is the same of
// their masks (importance.h), which is the sum of the scores of the weights behind the mask (Lagunas et al., "Block
// Pruning For Faster Transformers", 2021). The weights themselves are tuned along and thrown away: only the scores are
// wanted.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>

#include "cloze/compress/importance.h"

namespace cloze {

struct MovementOptions {
  int64_t batch = 32;
  double rate = 1e-4;  ///< AdamW's highest learning rate: a tenth of the steps rise to it, the others decline to 0
  uint64_t seed = 0;   ///< of dropout
  std::function<void(int64_t done)> progress = {};  ///< hears of rows done; may be empty
};

struct Movement {
  std::map<std::string, Tensor> weights;  ///< by name, of each product of encoder layers: its shape, F32
  Importance units;                       ///< signed
};

/// Trains `task`'s model on `rows`, in that order, `batch` at a time, all of its parameters; zeros in products stay.
/// Errors: kValue where the loss is no longer finite.
Movement movement_of(TrainingTask& task, const BertConfig& config, std::span<const int64_t> rows,
                     const MovementOptions& options);

/// In the same order but above 0, as a price must be for what is chosen by the clock: s + sqrt(s^2 + r^2), with r the
/// root mean square of all heads' scores, of all neurons', of all hidden numbers'.
Importance as_prices(Importance units);

}  // namespace cloze
