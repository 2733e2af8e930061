#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cloze/base/thread_team.h"
#include "cloze/ops/ops.h"

namespace cloze {
namespace {

/// A loss whose gradient was made along with it.
Var with_gradient(double loss, const Var& x, const Tensor& dx) {
  return Var::from_op(Tensor::full({1}, x.dtype(), loss), {x}, [dx, into = x.slot()](const Tensor& dloss) {
    const double factor =
        dloss.dtype() == DType::kF64 ? *dloss.data<double>() : static_cast<double>(*dloss.data<float>());
    if (factor != 1.0) backend().scale({.x = dx, .factor = factor});
    into.add_grad(dx);
  });
}

template <class Real>
double squares(const Tensor& x, const Tensor& target, double factor, const Tensor& dx) {
  const auto a = x.values<Real>();
  const auto b = target.values<Real>();
  const double each = factor / static_cast<double>(a.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double gap = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += gap * gap;
    if (dx.defined()) dx.data<Real>()[i] = static_cast<Real>(2 * each * gap);
  }
  return each * sum;
}

/// Rows of softmax(A A^T / sqrt(width)) of n rows of `width` columns that lie `stride` apart, into p[n,n].
template <class Real>
void relation(const Real* a, int64_t n, int64_t stride, int64_t width, std::vector<Real>& p) {
  p.resize(static_cast<size_t>(n * n));
  const Real scale = static_cast<Real>(1.0 / std::sqrt(static_cast<double>(width)));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i; j < n; ++j) {
      const Real score = scale * std::inner_product(a + i * stride, a + i * stride + width, a + j * stride, Real{0});
      p[static_cast<size_t>(i * n + j)] = p[static_cast<size_t>(j * n + i)] = score;
    }
  for (int64_t i = 0; i < n; ++i) {
    Real* row = p.data() + i * n;
    const Real most = *std::max_element(row, row + n);
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      row[j] = std::exp(row[j] - most);
      sum += static_cast<double>(row[j]);
    }
    for (int64_t j = 0; j < n; ++j) row[j] = static_cast<Real>(static_cast<double>(row[j]) / sum);
  }
}

struct Relations {
  int64_t width, target_width;  ///< of x and target
  int64_t heads;
  double each;  ///< what a row of a head counts
};

/// The sum over one sequence's rows and heads of each KL(target || own); adds nothing else to dx than its rows.
template <class Real>
double one_sequence(const Relations& r, const Real* x, const Real* target, int64_t n, Real* dx) {
  const int64_t own = r.width / r.heads, taught = r.target_width / r.heads;
  std::vector<Real> p, q;
  double loss = 0;
  for (int64_t head = 0; head < r.heads; ++head) {
    const Real* a = x + head * own;
    relation(a, n, r.width, own, p);
    relation(target + head * taught, n, r.target_width, taught, q);
    for (size_t k = 0; k < p.size(); ++k) {
      constexpr double kLeast = 1e-30;  // what rounding leaves of a small one
      const double own_p = std::max(static_cast<double>(p[k]), kLeast), own_q = static_cast<double>(q[k]);
      if (own_q > 0) loss += r.each * own_q * std::log(std::max(own_q, kLeast) / own_p);
      p[k] = static_cast<Real>(r.each * (static_cast<double>(p[k]) - own_q) / std::sqrt(static_cast<double>(own)));
    }
    if (dx == nullptr) continue;
    // dscores = p; scores = A A^T / sqrt(width), so dA = (dscores + dscores^T) A / sqrt(width).
    for (int64_t i = 0; i < n; ++i) {
      Real* to = dx + i * r.width + head * own;
      std::fill_n(to, own, Real{0});
      for (int64_t j = 0; j < n; ++j) {
        const Real factor = p[static_cast<size_t>(i * n + j)] + p[static_cast<size_t>(j * n + i)];
        for (int64_t d = 0; d < own; ++d) to[d] += factor * a[j * r.width + d];
      }
    }
  }
  return loss;
}

template <class Real>
double all_sequences(const Relations& r, const Tensor& x, const Tensor& target, const Tensor& offsets,
                     const Tensor& dx) {
  const auto at = offsets.values<int32_t>();
  std::vector<double> losses(at.size() - 1);
  thread_team().for_ranges(std::ssize(losses), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = at[static_cast<size_t>(b)], n = at[static_cast<size_t>(b + 1)] - first;
      losses[static_cast<size_t>(b)] =
          one_sequence(r, x.data<Real>() + first * r.width, target.data<Real>() + first * r.target_width, n,
                       dx.defined() ? dx.data<Real>() + first * r.width : nullptr);
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace

Var mean_square_gap(const Var& x, const Tensor& target, double factor) {
  CLOZE_CHECK(target.shape() == x.shape() && target.dtype() == x.dtype() && target.elements() > 0, ErrorCode::kShape,
              "[mean_square_gap] x and target must be alike, got {} and {}", x.shape(), target.shape());
  const Tensor dx = will_record({&x}) ? Tensor(x.shape(), x.dtype()) : Tensor();
  const double loss = x.dtype() == DType::kF64 ? squares<double>(x.value(), target, factor, dx)
                                               : squares<float>(x.value(), target, factor, dx);
  return with_gradient(loss, x, dx);
}

Var relation_loss(const Var& x, const Tensor& target, const Tensor& offsets, int64_t heads, double factor) {
  const Shape &xs = x.shape(), &ts = target.shape();
  CLOZE_CHECK(xs.rank() == 2 && ts.rank() == 2 && xs[0] == ts[0] && xs[0] > 0 && target.dtype() == x.dtype() &&
                  heads >= 1 && xs[1] % heads == 0 && ts[1] % heads == 0 && xs[1] > 0 && ts[1] > 0,
              ErrorCode::kShape,
              "[relation_loss] x and target must be [T,W] with widths that {} heads divide, got {} and {}", heads, xs,
              ts);
  const Relations relations{xs[1], ts[1], heads, factor / static_cast<double>(xs[0] * heads)};
  const Tensor dx = will_record({&x}) ? Tensor(xs, x.dtype()) : Tensor();
  const double loss = x.dtype() == DType::kF64 ? all_sequences<double>(relations, x.value(), target, offsets, dx)
                                               : all_sequences<float>(relations, x.value(), target, offsets, dx);
  return with_gradient(loss, x, dx);
}

}  // namespace cloze
