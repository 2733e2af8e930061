// A value on the tape: a tensor, and where a gradient is wanted, how to pass it back.
//
// Rules: a backward closure captures inputs and saved tensors, never its own output, and of an input whose value it
// does not read only slot(); gradients accumulate only in add_grad; nothing is recorded or saved where nothing needs a
// gradient. The tape itself holds no values: one that no closure captures goes with its last reader.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cloze/tensor/tensor.h"

namespace cloze {

class Var {
 public:
  Var() = default;
  /// A constant: no gradient flows to it.
  explicit Var(Tensor value);
  /// A leaf that collects a gradient.
  static Var leaf(Tensor value);
  /// The result of an operation: recorded if recording is on and one of `inputs` needs a gradient.
  static Var from_op(Tensor value, std::vector<Var> inputs, std::function<void(const Tensor& gradient)> backward);

  bool defined() const { return node_ != nullptr; }
  /// Whether both stand for the same value on the tape.
  bool is(const Var& other) const { return node_ == other.node_; }
  const Tensor& value() const;
  /// The same place on the tape without the value: takes gradients, and keeps no memory of the value alive.
  Var slot() const { return Var(node_); }
  bool needs_grad() const;
  /// The collected gradient; undefined before backward().
  const Tensor& grad() const;
  /// Adds to the gradient; does nothing where none is needed. `gradient` must not be changed afterwards.
  void add_grad(const Tensor& gradient) const;
  void clear_grad() const;

  struct Node;

 private:
  explicit Var(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  friend void backward(const Var& y, const Tensor& gradient);
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// Runs the tape back from `loss` (one element) with d(loss) = seed, and frees it. Gradients of leaves stay.
/// Errors: kShape if loss is not one element; kInternal if nothing was recorded for it.
void backward(const Var& loss, double seed = 1.0);
/// The same from y of any shape, with its gradient. Errors: kShape if theirs differ.
void backward(const Var& y, const Tensor& gradient);

/// True if an operation on these inputs will be recorded: then it saves what its backward needs.
bool will_record(std::initializer_list<const Var*> inputs);

/// Turns recording on this thread on or off while it lives.
class Recording {
 public:
  explicit Recording(bool on);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool previous_;
};

/// No recording while it lives.
class NoGrad : public Recording {
 public:
  NoGrad() : Recording(false) {}
};

}  // namespace cloze
