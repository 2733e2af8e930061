// Trainable tensors and the lists of them that loading, saving and optimizers walk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cloze/backend/int8.h"
#include "cloze/ops/var.h"

namespace cloze {

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
  /// Whether its owner can do inference from `int8` alone.
  bool runs_as_int8 = false;
  /// What the checkpoint stores in 8 bits, where it is kept so: `var` is undefined then. Else null.
  std::shared_ptr<const Int8Weight> int8 = nullptr;

  /// `var`, or `int8` as floats, made anew at each call.
  Var floats() const { return int8 != nullptr ? Var(expand_int8(*int8)) : var; }
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
