#include <algorithm>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

/// Blocks of 4096 elements, each summed in order, then the blocks' sums in order.
template <class Real>
double sum_squares_of(const Tensor& x) {
  constexpr int64_t kBlock = 4096;
  const Real* values = x.data<Real>();
  double total = 0;
  for (int64_t begin = 0; begin < x.elements(); begin += kBlock) {
    double sum = 0;
    for (int64_t i = begin; i < std::min(begin + kBlock, x.elements()); ++i)
      sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    total += sum;
  }
  return total;
}

}  // namespace

void RefBackend::add_into(const AddIntoArgs& a) const {
  ref::for_float(a.x.dtype(), [&](auto zero) {
    using Real = decltype(zero);
    ref::add_scaled(Real(1), a.x.data<Real>(), a.y.data<Real>(), a.x.elements());
  });
}

void RefBackend::scale(const ScaleArgs& a) const {
  ref::for_float(a.x.dtype(), [&](auto zero) {
    using Real = decltype(zero);
    for (Real& value : a.x.values<Real>()) value *= Real(a.factor);
  });
}

double RefBackend::sum_squares(const Tensor& x) const {
  double sum = 0;
  ref::for_float(x.dtype(), [&](auto zero) { sum = sum_squares_of<decltype(zero)>(x); });
  return sum;
}

}  // namespace cloze
