#include "cloze/ops/var.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "cloze/backend/backend.h"

namespace cloze {
namespace {

thread_local bool recording = true;
std::atomic<uint64_t> next_id{0};

}  // namespace

struct Var::Node {
  Shape shape;  ///< of the value, which only the Vars hold
  DType dtype = DType::kF32;
  Tensor grad;
  RowGradient rows;  ///< the gradient of a leaf while only rows came; grad, if defined, is then its dense copy
  bool needs_grad = false;
  bool own_grad = false;  ///< grad's memory is this node's alone, so it may be added to in place
  std::shared_ptr<PendingRows> pending;
  uint64_t id = 0;          ///< grows along the tape: inputs have smaller ones; 0: a leaf or a constant
  std::vector<Var> inputs;  ///< slots
  std::function<void(const Tensor&)> backward;
};

Var::Var(Tensor value) : value_(std::move(value)), node_(std::make_shared<Node>()) {
  node_->shape = value_.shape();
  node_->dtype = value_.dtype();
}

Var Var::leaf(Tensor value) {
  Var var(std::move(value));
  var.node_->needs_grad = true;
  return var;
}

Var Var::from_op(Tensor value, std::vector<Var> inputs, std::function<void(const Tensor&)> backward) {
  Var var(std::move(value));
  const auto needs = [](const Var& input) { return input.needs_grad(); };
  if (recording && std::ranges::any_of(inputs, needs)) {
    std::erase_if(inputs, [&](const Var& input) { return !needs(input); });
    var.node_->needs_grad = true;
    var.node_->id = ++next_id;
    for (const Var& input : inputs) var.node_->inputs.push_back(input.slot());
    var.node_->backward = std::move(backward);
  }
  return var;
}

Var::Node& Var::node() const {
  CLOZE_CHECK(defined(), ErrorCode::kInternal, "an undefined Var was read");
  return *node_;
}

const Tensor& Var::value() const {
  CLOZE_CHECK(value_.defined(), ErrorCode::kInternal, "an undefined Var was read");
  if (Node& n = node(); n.pending != nullptr) {
    n.pending->settle_all();
    if (n.pending.use_count() == 1) n.pending.reset();  // whoever owed it is gone
  }
  return value_;
}

const Tensor& Var::value_for_rows(const Tensor& rows) const {
  CLOZE_CHECK(value_.defined(), ErrorCode::kInternal, "an undefined Var was read");
  if (Node& n = node(); n.pending != nullptr) n.pending->settle(rows);
  return value_;
}

const Shape& Var::shape() const {
  return node().shape;
}

DType Var::dtype() const {
  return node().dtype;
}

bool Var::needs_grad() const {
  return defined() && node_->needs_grad;
}

bool Var::has_grad() const {
  return node().rows.defined() || node().grad.defined();
}

const Tensor& Var::grad() const {
  Node& n = node();
  if (!n.grad.defined() && n.rows.defined()) n.grad = dense_of(n.rows, n.shape);
  return n.grad;
}

const RowGradient& Var::row_grad() const {
  return node().rows;
}

void Var::add_grad(const Tensor& gradient) const {
  if (!needs_grad()) return;
  CLOZE_CHECK(gradient.shape() == node_->shape, ErrorCode::kInternal, "a gradient of shape {} for a value of shape {}",
              gradient.shape(), node_->shape);
  if (!has_grad()) {
    node_->grad = gradient;
    node_->own_grad = false;
    return;
  }
  own_dense_grad();
  cloze::backend().add_into({.x = gradient, .y = node_->grad});
}

void Var::add_row_grad(const RowGradient& gradient) const {
  if (!needs_grad()) return;
  const Shape& shape = node_->shape;
  CLOZE_CHECK(shape.rank() == 2 && gradient.values.shape() == Shape({gradient.rows.elements(), shape[1]}),
              ErrorCode::kInternal, "a gradient of {} rows, {}, for a value of shape {}", gradient.rows.elements(),
              gradient.values.shape(), shape);
  const bool leaf = node_->id == 0;
  if (leaf && (node_->rows.defined() || !node_->grad.defined())) {
    node_->rows = node_->rows.defined() ? sum_of_rows(node_->rows, gradient, shape[0]) : gradient;
    node_->grad = Tensor();
  } else if (node_->grad.defined()) {
    own_dense_grad();
    add_rows(gradient.values, gradient.rows, node_->grad);
  } else {
    node_->grad = dense_of(gradient, shape);
    node_->own_grad = true;
  }
}

/// Makes the gradient dense, in memory that may be added to.
void Var::own_dense_grad() const {
  if (node_->rows.defined()) {
    node_->grad = dense_of(node_->rows, node_->shape);
    node_->rows = {};
  } else if (!node_->own_grad) {
    node_->grad = node_->grad.clone();
  }
  node_->own_grad = true;
}

void Var::clear_grad() const {
  node_->grad = Tensor();
  node_->rows = {};
}

const PendingRows* Var::pending() const {
  return node().pending.get();
}

void Var::set_pending(std::shared_ptr<PendingRows> pending) const {
  (void)value();
  node().pending = std::move(pending);
}

/// For each leaf that a tape reads, how many of its operations have not had their turn yet.
class LeafReaders {
 public:
  LeafReaders(const Var& y, GradientListener* listener) : listener_(listener) {
    if (listener_ != nullptr) count(y);
  }
  /// `node` has had its turn, and its inputs are still there.
  void passed(const Var::Node& node) {
    if (listener_ == nullptr) return;
    for (const Var& input : node.inputs)
      if (input.node_->id == 0 && --left_[input.node_.get()] == 0) listener_->on_final(input);
    listener_->on_operation();
  }

 private:
  void count(const Var& y) {
    std::vector<const Var::Node*> open = {y.node_.get()};
    std::unordered_set<const Var::Node*> seen;
    while (!open.empty()) {
      const Var::Node& node = *open.back();
      open.pop_back();
      for (const Var& input : node.inputs) {
        if (input.node_->id == 0)
          ++left_[input.node_.get()];
        else if (seen.insert(input.node_.get()).second)
          open.push_back(input.node_.get());
      }
    }
  }

  GradientListener* listener_;
  std::unordered_map<const Var::Node*, int64_t> left_;
};

void backward(const Var& loss, double seed, GradientListener* listener) {
  CLOZE_CHECK(loss.value().elements() == 1, ErrorCode::kShape, "[backward] the loss must be one number, got {}",
              loss.value().shape());
  backward(loss, Tensor::full(loss.value().shape(), loss.value().dtype(), seed), listener);
}

void backward(const Var& y, const Tensor& gradient, GradientListener* listener) {
  CLOZE_CHECK(y.needs_grad(), ErrorCode::kInternal, "[backward] nothing was recorded for this loss");
  CLOZE_CHECK(gradient.shape() == y.value().shape(), ErrorCode::kShape, "[backward] a gradient of {} for a value of {}",
              gradient.shape(), y.value().shape());
  y.add_grad(gradient);
  LeafReaders readers(y, listener);
  // Newest first: when a node's turn comes, all its readers have had theirs.
  const auto older = [](const Var& a, const Var& b) { return a.node_->id < b.node_->id; };
  std::priority_queue<Var, std::vector<Var>, decltype(older)> queue(older);
  std::unordered_set<const Var::Node*> seen;
  queue.push(y.slot());
  while (!queue.empty()) {
    const Var var = queue.top();
    queue.pop();
    Var::Node& node = *var.node_;
    if (node.id == 0) continue;  // a leaf
    CLOZE_CHECK(node.backward != nullptr, ErrorCode::kInternal,
                "[backward] this part of the tape was run and freed already; its gradients would be lost");
    if (node.grad.defined()) node.backward(node.grad);
    for (const Var& input : node.inputs)
      if (seen.insert(input.node_.get()).second) queue.push(input);
    node.backward = nullptr;
    readers.passed(node);
    node.inputs.clear();
    node.grad = Tensor();
  }
}

bool will_record(std::initializer_list<const Var*> inputs) {
  return recording && std::ranges::any_of(inputs, [](const Var* input) { return input->needs_grad(); });
}

bool any_needs_grad(const std::vector<Var>& parts) {
  return std::ranges::any_of(parts, [](const Var& part) { return part.needs_grad(); });
}

Recording::Recording(bool on) : previous_(recording) {
  recording = on;
}
Recording::~Recording() {
  recording = previous_;
}

}  // namespace cloze
