// How much a model would lose without a head or a neuron.
//
// A mask of 1 is thought before each head's part of the attention's output and before each neuron's; what matters is
// the loss's derivative by it, which is the sum of weight times gradient over that head's (neuron's) columns of the
// output's weight. So for a number of the hidden width: with a mask on what every layer norm gives, it is the sum over
// them of gamma times its gradient plus beta times its own. Magnitude needs no data; Taylor (Michel et al., "Are
// Sixteen Heads Really Better than One?", 2019; Molchanov et al., 2019) sums the absolute derivative over batches;
// Fisher (Kwon et al., "A Fast Post-Training Pruning Framework for Transformers", 2022) its square, which with one row
// a batch is the diagonal of the mask's Fisher information. Both are of the loss, so heads and neurons of all layers
// can be compared as they are.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cloze/model/bert_config.h"
#include "cloze/nn/parameter.h"

namespace cloze {

class TrainingTask;

/// Larger is more important.
struct Importance {
  std::vector<std::vector<double>> heads, neurons;  ///< by layer
  std::vector<double> hidden = {};                  ///< by number of a token's vector
};

enum class Criterion : uint8_t { kMagnitude, kTaylor, kFisher, kMovement };
/// "magnitude", "taylor", "fisher" or "movement" (movement.h). Errors: kUsage.
Criterion parse_criterion(const std::string& name);

/// Norm of a head's value rows times that of its output columns; the same of a neuron's two; of a hidden number the sum
/// over layer norms of sqrt(gamma^2 + beta^2). Each layer's heads (its neurons, a norm's numbers) are divided by their
/// root of squares, for weights of different layers are not to be compared as they are.
Importance magnitude_importance(const ParameterList& parameters, const BertConfig& config);

/// The loss's derivative by each unit's mask, out of the gradients that a backward pass left.
class MaskDerivatives {
 public:
  /// Keeps pointers to the parameters of a model of this shape, which must outlive it.
  MaskDerivatives(const ParameterList& parameters, const BertConfig& config);

  /// 0 for each unit.
  Importance zeros() const;
  /// Whether it needs this parameter's gradient.
  bool reads(const Parameter* parameter) const;
  /// Adds score(derivative) of each unit.
  void add_to(Importance& sums, const std::function<double(double)>& score) const;

 private:
  /// The tensors that heads and neurons are read from; null in a layer without them.
  struct Outputs {
    const Parameter *heads = nullptr, *neurons = nullptr;
  };
  BertConfig config_;
  std::vector<Outputs> layers_;
  std::vector<std::pair<Parameter*, Parameter*>> norms_;  ///< gamma and beta
};

/// From the gradients of `task`'s loss on `rows`, `batch` at a time, without dropout. `progress` hears of rows done.
Importance gradient_importance(TrainingTask& task, const BertConfig& config, Criterion criterion,
                               std::span<const int64_t> rows, int64_t batch,
                               const std::function<void(int64_t done)>& progress);

}  // namespace cloze
