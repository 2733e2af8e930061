// From a dtype at run time to a C++ type, and the small words that every reference kernel uses.
#pragma once

#include "cloze/base/error.h"
#include "cloze/tensor/tensor.h"

namespace cloze::ref {

/// Calls function(Real{}) with Real = float or double. Errors: kUnsupported for other dtypes.
template <class Function>
void for_float(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::kF32:
      return function(float{});
    case DType::kF64:
      return function(double{});
    default:
      fail(ErrorCode::kUnsupported, "kernels compute in F32 or F64, not in {}", dtype_name(dtype));
  }
}

/// The elements, or null for an undefined tensor (an absent input, an output that is not wanted).
template <class Real>
Real* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<Real>() : nullptr;
}

/// sum_i a_i b_i, in order.
template <class Real>
Real dot(const Real* a, const Real* b, int64_t n) {
  Real sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// y += factor x.
template <class Real>
void add_scaled(Real factor, const Real* x, Real* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace cloze::ref
