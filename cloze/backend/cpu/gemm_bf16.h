// The bf16 products of the cpu backend (what they are: cloze/backend/bf16.h), spread over the thread team. Each element
// of a result is one chain over pairs of k in turn, whatever the threads and the place of its row.
#pragma once

#include "cloze/backend/backend.h"

namespace cloze::cpu {

/// Whether the processor multiplies bf16 (AVX512_BF16) and the SIMD target in use is that of AVX-512. The products
/// below are for where it does; elsewhere the f32 ones serve, on round_to_bf16 of their operands.
bool has_bf16();

/// A copy with each element rounded to bf16, still f32.
Tensor round_to_bf16(const Tensor& x);

/// y[T,M] = activation(x[T,K] weight[M,K]^T + bias); bias and pre (the value before the activation) may be null.
void multiply_bf16(const Tensor& x, const Tensor& weight, const float* bias, Activation activation, float* pre,
                   float* y);
/// dx[T,K] = dpre[T,M] weight[M,K].
void multiply_bf16_plain(const Tensor& dpre, const Tensor& weight, float* dx);
/// dweight[M,K] = dpre[T,M]^T x[T,K].
void multiply_bf16_transposed(const Tensor& dpre, const Tensor& x, float* dweight);

}  // namespace cloze::cpu
