// Trainable tensors and the lists of them that loading, saving and optimizers walk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cloze/backend/compact.h"
#include "cloze/ops/var.h"

namespace cloze {

struct InputRange;

/// How a parameter starts where no checkpoint gives it.
enum class Init : uint8_t { kNormal, kZeros, kOnes };
/// Whether AdamW's weight decay pulls on it: not on biases and layer norms.
enum class Decay : uint8_t { kYes, kNo };

/// One named tensor. The name is the checkpoint's, e.g. "bert.pooler.dense.weight".
struct Parameter {
  std::string name;
  Shape shape;
  Init init;
  Decay decay;
  Var var;              ///< undefined until initialize() or set()
  bool trained = true;  ///< false: frozen, a constant of the model
  /// Whether its owner can do inference from 8 bits alone, and from a sparse weight alone.
  bool runs_as_int8 = false, runs_as_sparse = false;
  /// What the checkpoint stores so, where it is kept so: `var` is undefined then. Else null.
  std::shared_ptr<const CompactWeight> compact = nullptr;
  /// If there, forward passes note in it what the weight is multiplied by.
  std::shared_ptr<InputRange> seen = nullptr;
  /// The checkpoint had it without its zeros, and gets it so again, as long as it has them.
  bool stored_sparse = false;

  /// `var`, or `compact` as floats, made anew at each call.
  Var floats() const { return compact != nullptr ? Var(compact->expand()) : var; }
  /// Gives it a value, which collects gradients if it is trained. Errors: kShape if the shape differs.
  void set(Tensor value);
  /// Freezes it or has it trained, with the value that it has.
  void set_trained(bool on);
  /// Fresh values: normal with deviation `std` from (seed, name), or constants. The same for any order of calls.
  void initialize(uint64_t seed, double std, DType dtype = DType::kF32);
};

using ParameterList = std::vector<Parameter*>;

/// Total count of elements.
int64_t count_elements(const ParameterList& parameters);

/// Those that are trained, in their order.
ParameterList trained_of(const ParameterList& parameters);

}  // namespace cloze
