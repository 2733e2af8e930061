// Dense products of the cpu backend, f32, spread over the thread team. See microkernel-inl.h for the fixed order.
#pragma once

#include <cstdint>

#include "cloze/backend/backend.h"

namespace cloze::cpu {

/// B[K,N] of a product in the panels of the SIMD target in use.
struct PackedMatrix : PreparedWeight {
  int64_t depth = 0, columns = 0;  ///< K, N
  Tensor panels;                   ///< f32, zero-padded to whole panels
};

enum class Packing : uint8_t { kPlain, kTransposed };

/// One product, its operands checked: C[m,n] = A[m,depth] B, C row-major.
struct Product {
  const float* a;
  int64_t a_row_stride, a_k_stride;
  int64_t m, depth, n;
  const float* panels;
  const float* bias;
  Activation activation;
  float *pre, *c;
};

/// Packs a weight [N,K] (row-major) as B = weight^T, or a matrix [K,N] as it is.
PackedMatrix pack_transposed(const float* weight, int64_t n, int64_t k);
PackedMatrix pack_plain(const float* matrix, int64_t k, int64_t n);

/// y[m, N] = activation(x[m, K] B + bias), row-major; bias and pre (the value before the activation) may be null.
void multiply(const float* x, int64_t m, const PackedMatrix& b, const float* bias, Activation activation, float* pre,
              float* y);

/// c[M, N] = a[K, M]^T B: A is read transposed (gradients of weights).
void multiply_transposed(const float* a, int64_t m, const PackedMatrix& b, float* c);

}  // namespace cloze::cpu
