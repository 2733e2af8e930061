#include "cloze/ops/low_rank.h"

#include <algorithm>
#include <cstring>

namespace cloze {
namespace {

/// Copies [N,C] to columns `first` to first + C of a wider tensor, from row `row` on.
void put_columns(const Tensor& from, const Tensor& to, int64_t row, int64_t first) {
  const int64_t columns = from.shape()[1], width = to.shape()[1];
  const size_t size = static_cast<size_t>(dtype_bytes(from.dtype()));
  const char* source = static_cast<const char*>(from.raw());
  char* target = static_cast<char*>(to.raw());
  for (int64_t r = 0; r < from.shape()[0]; ++r)
    std::memcpy(target + static_cast<size_t>((row + r) * width + first) * size,
                source + static_cast<size_t>(r * columns) * size, static_cast<size_t>(columns) * size);
}

Tensor columns_of(const Tensor& from, int64_t row, int64_t rows, int64_t first, int64_t columns) {
  const Tensor to({rows, columns}, from.dtype());
  const size_t size = static_cast<size_t>(dtype_bytes(from.dtype()));
  const char* source = static_cast<const char*>(from.raw());
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(static_cast<char*>(to.raw()) + static_cast<size_t>(r * columns) * size,
                source + static_cast<size_t>((row + r) * from.shape()[1] + first) * size,
                static_cast<size_t>(columns) * size);
  return to;
}

/// [x | y]
Tensor side_by_side(const Tensor& x, const Tensor& y) {
  const Tensor both({x.shape()[0], x.shape()[1] + y.shape()[1]}, x.dtype());
  put_columns(x, both, 0, 0);
  put_columns(y, both, 0, x.shape()[1]);
  return both;
}

/// Where each change's rows are in the joined output, and its columns among all ranks.
struct Places {
  std::vector<int64_t> row, column;
  int64_t outputs = 0, ranks = 0;

  Places(const Shape& x, const std::vector<Var>& weights, const std::vector<LowRank>& changes) {
    CLOZE_CHECK(x.rank() == 2 && weights.size() == changes.size(), ErrorCode::kShape,
                "[linear_low_rank] x must be [T,K] with as many weights as changes, got {}, {} and {}", x,
                weights.size(), changes.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      const Shape& w = weights[i].shape();
      CLOZE_CHECK(w.rank() == 2 && w[1] == x[1], ErrorCode::kShape,
                  "[linear_low_rank] x must be [T,K], each weight [M,K], got {} and {}", x, w);
      row.push_back(outputs);
      column.push_back(ranks);
      outputs += w[0];
      if (!changes[i].a.defined()) continue;
      const Shape &a = changes[i].a.shape(), &b = changes[i].b.shape();
      CLOZE_CHECK(a.rank() == 2 && a[1] == x[1] && b == Shape({w[0], a[0]}), ErrorCode::kShape,
                  "[linear_low_rank] for a weight {} a must be [R,{}] and b [{},R], got {} and {}", w, x[1], w[0], a,
                  b);
      ranks += a[0];
    }
    CLOZE_CHECK(ranks > 0, ErrorCode::kShape, "[linear_low_rank] no change is given");
  }
};

/// All a, one below the other [R,K].
Tensor joined_a(const std::vector<LowRank>& changes) {
  std::vector<Var> all;
  for (const LowRank& change : changes)
    if (change.a.defined()) all.push_back(change.a);
  return joined_rows(all);
}

/// scale b of each change in its rows and columns, 0 elsewhere [M,R].
Tensor joined_b(const std::vector<LowRank>& changes, const Places& places, DType dtype) {
  const Tensor all = Tensor::zeros({places.outputs, places.ranks}, dtype);
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!changes[i].a.defined()) continue;
    const Tensor scaled = changes[i].b.value().clone();
    backend().scale({.x = scaled, .factor = changes[i].scale});
    put_columns(scaled, all, places.row[i], places.column[i]);
  }
  return all;
}

}  // namespace

// [W | sB] [x | u]^T with u = A x is W x + s B A x, in one product.
// Backward: dpre = dy activation'(pre); du = dpre sB; dB = s dpre^T u; dA = du^T x; dx = dpre W + du A.
Var linear_low_rank(const Var& x, const std::vector<Var>& weights, const std::vector<Var>& biases,
                    const std::vector<LowRank>& changes, Activation activation, Precision training) {
  const Places places(x.shape(), weights, changes);
  const int64_t tokens = x.shape()[0], width = x.shape()[1];
  const DType dtype = x.dtype();
  std::vector<Var> inputs = {x};
  for (const std::vector<Var>* parts : {&weights, &biases}) inputs.insert(inputs.end(), parts->begin(), parts->end());
  bool record = false;
  for (const LowRank& change : changes)
    if (change.a.defined()) inputs.insert(inputs.end(), {change.a, change.b});
  for (const Var& input : inputs) record = record || will_record({&input});
  const Tensor u({tokens, places.ranks}, dtype), y({tokens, places.outputs}, dtype);
  const Tensor pre = record && activation != Activation::kNone ? Tensor(y.shape(), dtype) : Tensor();
  const auto product = [&](const Tensor& of, const Tensor& weight, const Tensor& bias, Activation then,
                           const Tensor& before, const Tensor& to) {
    backend().linear({.x = of,
                      .weight = weight,
                      .bias = bias,
                      .activation = then,
                      .prepared = nullptr,
                      .pre = before,
                      .y = to,
                      .precision = training});
  };
  product(x.value(), joined_a(changes), {}, Activation::kNone, {}, u);
  product(side_by_side(x.value(), u), side_by_side(joined_rows(weights), joined_b(changes, places, dtype)),
          joined_rows(biases), activation, pre, y);
  if (!record) return Var(y);
  return Var::from_op(y, inputs, [=](const Tensor& dy) {
    const auto wanted = [&](bool is, const Shape& shape) { return is ? Tensor(shape, dtype) : Tensor(); };
    const Tensor dx = wanted(x.needs_grad(), x.shape()), du(u.shape(), dtype);
    const Tensor dweight = wanted(any_needs_grad(weights), {places.outputs, width});
    const Tensor dbias = wanted(any_needs_grad(biases), {places.outputs});
    const Tensor db({places.outputs, places.ranks}, dtype), da({places.ranks, width}, dtype);
    backend().linear_backward({.x = u,
                               .weight = joined_b(changes, places, dtype),
                               .pre = pre,
                               .dy = dy,
                               .activation = activation,
                               .dx = du,
                               .dweight = db,
                               .dbias = dbias,
                               .precision = training});
    if (dx.defined() || dweight.defined())
      backend().linear_backward({.x = dweight.defined() ? x.value() : Tensor(),
                                 .weight = dx.defined() ? joined_rows(weights) : Tensor(),
                                 .pre = pre,
                                 .dy = dy,
                                 .activation = activation,
                                 .dx = dx,
                                 .dweight = dweight,
                                 .dbias = {},
                                 .precision = training});
    const Tensor dx_by_a = wanted(x.needs_grad(), x.shape());
    backend().linear_backward({.x = x.value(),
                               .weight = dx.defined() ? joined_a(changes) : Tensor(),
                               .pre = {},
                               .dy = du,
                               .activation = Activation::kNone,
                               .dx = dx_by_a,
                               .dweight = da,
                               .dbias = {},
                               .precision = training});
    if (dx.defined()) {
      backend().add_into({.x = dx_by_a, .y = dx});
      x.add_grad(dx);
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const int64_t row = places.row[i], end = row + weights[i].shape()[0];
      if (weights[i].needs_grad()) weights[i].add_grad(dweight.rows(row, end));
      if (biases[i].needs_grad()) biases[i].add_grad(dbias.rows(row, end));
      if (!changes[i].a.defined()) continue;
      const int64_t first = places.column[i], rank = changes[i].a.shape()[0];
      changes[i].a.add_grad(da.rows(first, first + rank));
      const Tensor db_own = columns_of(db, row, end - row, first, rank);
      backend().scale({.x = db_own, .factor = changes[i].scale});
      changes[i].b.add_grad(db_own);
    }
  });
}

Tensor merged_weight(const Tensor& weight, const LowRank& change) {
  const int64_t rank = change.a.shape()[0], width = weight.shape()[1];
  const Tensor transposed({width, rank}, weight.dtype());
  for (int64_t r = 0; r < rank; ++r) {
    Tensor row = change.a.value().rows(r, r + 1);
    put_columns(row.reshape({width, 1}), transposed, 0, r);
  }
  const Tensor merged(weight.shape(), weight.dtype());
  backend().linear({.x = change.b.value(),
                    .weight = transposed,
                    .bias = {},
                    .activation = Activation::kNone,
                    .prepared = nullptr,
                    .pre = {},
                    .y = merged});
  backend().scale({.x = merged, .factor = change.scale});
  backend().add_into({.x = weight, .y = merged});
  return merged;
}

}  // namespace cloze
