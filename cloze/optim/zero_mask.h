// Zeros that pruning left stay zeros while the rest is trained.
#pragma once

#include <vector>

#include "cloze/nn/parameter.h"

namespace cloze {

class ZeroMask {
 public:
  /// Notes which numbers of these F32 parameters are 0 now. Keeps pointers to them, which must outlive it. Those
  /// without any zero are left alone.
  explicit ZeroMask(const ParameterList& parameters);
  /// After an optimizer's step.
  void apply();
  /// How many numbers are held.
  int64_t held() const;

 private:
  struct Held {
    Parameter* parameter;
    std::vector<int64_t> begin, end;  ///< runs of zeros
  };
  std::vector<Held> held_;
};

/// The products of encoder layers among them: what pruning makes sparse.
ParameterList encoder_products(const ParameterList& parameters);

}  // namespace cloze
