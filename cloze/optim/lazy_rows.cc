#include "cloze/optim/lazy_rows.h"

namespace cloze {

LazyRows::LazyRows(const AdamWArgs& settings)
    : settings_(settings), done_(Tensor::zeros({settings.m.shape()[0]}, DType::kI32)) {
  settings_.param = settings_.grad = Tensor();
}

void LazyRows::step(const Var& table, const AdamWStep& step) {
  if (table.pending() != this) {  // the first step, or the table was given a new value since
    settle_all();
    settings_.param = table.value();
    table.set_pending(shared_from_this());
  }
  if (steps_.size() >= kMostSteps) settle_all();
  steps_.push_back(step);
  run(table.row_grad().rows, table.row_grad().values);
}

void LazyRows::settle(const Tensor& rows) {
  if (!steps_.empty()) run(rows, {});
}

void LazyRows::settle_all() {
  if (steps_.empty()) return;
  run({}, {});
  steps_.clear();
  done_.set_zero();
}

void LazyRows::run(const Tensor& rows, const Tensor& grad) const {
  backend().adamw_rows({.param = settings_.param,
                        .m = settings_.m,
                        .v = settings_.v,
                        .done = done_,
                        .rows = rows,
                        .grad = grad,
                        .steps = steps_,
                        .beta1 = settings_.beta1,
                        .beta2 = settings_.beta2,
                        .eps = settings_.eps,
                        .decay = settings_.decay,
                        .site = settings_.site});
}

}  // namespace cloze
