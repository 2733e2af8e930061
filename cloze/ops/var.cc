#include "cloze/ops/var.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_set>

#include "cloze/backend/backend.h"

namespace cloze {
namespace {

thread_local bool recording = true;
std::atomic<uint64_t> next_id{0};

}  // namespace

struct Var::Node {
  Shape shape;  ///< of the value, which only the Vars hold
  Tensor grad;
  bool needs_grad = false;
  bool own_grad = false;    ///< grad's memory is this node's alone, so it may be added to in place
  uint64_t id = 0;          ///< grows along the tape: inputs have smaller ones; 0: a leaf or a constant
  std::vector<Var> inputs;  ///< slots
  std::function<void(const Tensor&)> backward;
};

Var::Var(Tensor value) : value_(std::move(value)), node_(std::make_shared<Node>()) {
  node_->shape = value_.shape();
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

const Tensor& Var::value() const {
  CLOZE_CHECK(value_.defined(), ErrorCode::kInternal, "an undefined Var was read");
  return value_;
}

bool Var::needs_grad() const {
  return defined() && node_->needs_grad;
}

const Tensor& Var::grad() const {
  CLOZE_CHECK(defined(), ErrorCode::kInternal, "an undefined Var was read");
  return node_->grad;
}

void Var::add_grad(const Tensor& gradient) const {
  if (!needs_grad()) return;
  CLOZE_CHECK(gradient.shape() == node_->shape, ErrorCode::kInternal, "a gradient of shape {} for a value of shape {}",
              gradient.shape(), node_->shape);
  if (!node_->grad.defined()) {
    node_->grad = gradient;
    node_->own_grad = false;
    return;
  }
  if (!node_->own_grad) node_->grad = node_->grad.clone();
  node_->own_grad = true;
  cloze::backend().add_into({.x = gradient, .y = node_->grad});
}

void Var::clear_grad() const {
  node_->grad = Tensor();
}

void backward(const Var& loss, double seed) {
  CLOZE_CHECK(loss.value().elements() == 1, ErrorCode::kShape, "[backward] the loss must be one number, got {}",
              loss.value().shape());
  backward(loss, Tensor::full(loss.value().shape(), loss.value().dtype(), seed));
}

void backward(const Var& y, const Tensor& gradient) {
  CLOZE_CHECK(y.needs_grad(), ErrorCode::kInternal, "[backward] nothing was recorded for this loss");
  CLOZE_CHECK(gradient.shape() == y.value().shape(), ErrorCode::kShape, "[backward] a gradient of {} for a value of {}",
              gradient.shape(), y.value().shape());
  y.add_grad(gradient);
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
    node.inputs.clear();
    node.grad = Tensor();
  }
}

bool will_record(std::initializer_list<const Var*> inputs) {
  return recording && std::ranges::any_of(inputs, [](const Var* input) { return input->needs_grad(); });
}

Recording::Recording(bool on) : previous_(recording) {
  recording = on;
}
Recording::~Recording() {
  recording = previous_;
}

}  // namespace cloze
