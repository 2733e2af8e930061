// Weights in forms that take less room than floats, as a checkpoint may keep them and inference may run them.
#pragma once

#include <memory>
#include <span>

#include "cloze/backend/backend.h"

namespace cloze {

/// weight[M,K]: an Int8Weight (int8.h) or a SparseWeight (sparse.h). Immutable.
struct CompactWeight : PreparedWeight {
  virtual Shape shape() const = 0;
  /// [M,K] F32.
  virtual Tensor expand() const = 0;
};

/// The rows of all of them, one below the other, in the form that they have; null where they are not of one form. They
/// have the same K.
std::unique_ptr<CompactWeight> join_compact(std::span<const CompactWeight* const> parts);

}  // namespace cloze
