// Compares a whole model and its training with what golden/make_golden.py wrote of the PyTorch oracle.
#pragma once

#include <string>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/tensor/dtype.h"

namespace cloze::test {

struct Difference {
  std::string what;
  double value;  ///< outputs and losses: largest absolute difference; gradients: relative, see below
};

struct OracleDifferences {
  std::vector<Difference> outputs;         ///< by name of the output
  std::vector<Difference> gradients;       ///< by parameter, of the classification loss
  std::vector<Difference> head_gradients;  ///< by parameter, of the sum of the other heads' losses
  std::vector<Difference> losses;          ///< by training step; last the heads' loss
  std::vector<Difference> norms;           ///< by training step, relative
  int64_t argmax_differences;              ///< tokens whose best masked word is another one
};

/// Loads the checkpoint of `dir`, runs it on backend() in `dtype`, and trains it. A gradient's difference is the
/// largest one of its elements over the tensor's largest element; for the key's bias, whose true gradient is 0, over
/// that of the query's bias.
OracleDifferences compare_with_oracle(const Path& dir, DType dtype);

/// The largest of them.
Difference worst(const std::vector<Difference>& differences);

}  // namespace cloze::test
