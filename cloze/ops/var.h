// A value on the tape: a tensor, and where a gradient is wanted, how to pass it back.
//
// Rules: a backward closure captures inputs and saved tensors, never its own output, and of an input whose value it
// does not read only slot(); gradients accumulate only in add_grad and add_row_grad; nothing is recorded or saved where
// nothing needs a gradient. The tape itself holds no values: one that no closure captures goes with its last reader.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cloze/ops/rows.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

/// Changes that rows of a leaf's value have not had yet: a lazy optimizer owes them. The leaf asks for them before
/// anyone reads the value, so that nobody sees a row that is behind. So while rows are pending, reading is no business
/// of several threads.
class PendingRows {
 public:
  virtual ~PendingRows() = default;
  virtual void settle(const Tensor& rows) = 0;  ///< [R] I32, each once
  virtual void settle_all() = 0;
};

class GradientListener;

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
  /// The place on the tape as a key: equal where is() holds.
  const void* key() const { return node_.get(); }
  /// The whole value, with all that is pending settled.
  const Tensor& value() const;
  /// The value for a reader of `rows` alone ([R] I32, each once): others may be behind.
  const Tensor& value_for_rows(const Tensor& rows) const;
  const Shape& shape() const;
  DType dtype() const;
  /// The same place on the tape without the value: takes gradients, and keeps no memory of the value alive.
  Var slot() const { return Var(node_); }
  bool needs_grad() const;

  bool has_grad() const;
  /// The collected gradient; undefined before backward(). A gradient that is kept as rows is made dense for the asker.
  const Tensor& grad() const;
  /// The same while it is kept as rows; undefined where there is none or a dense one.
  const RowGradient& row_grad() const;
  /// Adds to the gradient; does nothing where none is needed. `gradient` must not be changed afterwards.
  void add_grad(const Tensor& gradient) const;
  /// The same for a gradient that is 0 but in some rows of a value [N,H]. A leaf keeps it as rows until a dense
  /// gradient comes beside it.
  void add_row_grad(const RowGradient& gradient) const;
  void clear_grad() const;

  /// What is pending on this leaf; null for nothing. set_pending settles what was pending before.
  const PendingRows* pending() const;
  void set_pending(std::shared_ptr<PendingRows> pending) const;

  struct Node;

 private:
  explicit Var(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  Node& node() const;
  void own_dense_grad() const;
  friend void backward(const Var& y, const Tensor& gradient, GradientListener* listener);
  friend class LeafReaders;
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// Hears a backward pass while it runs, so that what is done may be sent while the rest is being computed.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  /// All operations of this tape that read `leaf` have had their turn: this pass adds no more to its gradient.
  virtual void on_final(const Var& leaf) = 0;
  /// An operation has had its turn.
  virtual void on_operation() = 0;
};

/// Runs the tape back from `loss` (one element) with d(loss) = seed, and frees it. Gradients of leaves stay.
/// Errors: kShape if loss is not one element; kInternal if nothing was recorded for it.
void backward(const Var& loss, double seed = 1.0, GradientListener* listener = nullptr);
/// The same from y of any shape, with its gradient. Errors: kShape if theirs differ.
void backward(const Var& y, const Tensor& gradient, GradientListener* listener = nullptr);

/// True if an operation on these inputs will be recorded: then it saves what its backward needs.
bool will_record(std::initializer_list<const Var*> inputs);
bool any_needs_grad(const std::vector<Var>& parts);

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
