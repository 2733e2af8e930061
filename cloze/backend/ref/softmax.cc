#include <algorithm>
#include <cmath>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

/// The sum over a row is taken in f64: C may be a vocabulary, where a naive f32 sum loses two digits.
template <class Real>
void softmax_of(const SoftmaxArgs& a) {
  const int64_t R = a.x.shape()[0], C = a.x.shape()[1];
  if (C == 0) return;
  for (int64_t r = 0; r < R; ++r) {
    const Real* x = a.x.data<Real>() + r * C;
    Real* y = a.y.data<Real>() + r * C;
    const Real max = *std::max_element(x, x + C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += y[c] = std::exp(x[c] - max);
    for (int64_t c = 0; c < C; ++c) y[c] /= static_cast<Real>(sum);
  }
}

}  // namespace

void RefBackend::softmax(const SoftmaxArgs& a) const {
  ref::for_float(a.x.dtype(), [&](auto zero) { softmax_of<decltype(zero)>(a); });
}

}  // namespace cloze
