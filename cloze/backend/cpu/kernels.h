// The cpu backend's f32 kernels that are compiled once per SIMD target; each chooses the target at run time.
#pragma once

#include "cloze/backend/backend.h"

namespace cloze::cpu {

void attention(const AttentionArgs& args);
void attention_backward(const AttentionBackwardArgs& args);
void add_layer_norm(const AddLayerNormArgs& args);
void add_layer_norm_backward(const AddLayerNormBackwardArgs& args);
void dropout(const DropoutArgs& args);
void cross_entropy(const CrossEntropyArgs& args);
void softmax(const SoftmaxArgs& args);
void adamw(const AdamWArgs& args);
void adamw_rows(const AdamWRowsArgs& args);
void add_into(const AddIntoArgs& args);
void scale(const ScaleArgs& args);
double sum_squares(const Tensor& x);

/// dpre = dy activation'(pre), n elements.
void activation_backward(const float* pre, const float* dy, Activation activation, int64_t n, float* dpre);
/// sums[columns] = column sums of x[rows, columns].
void column_sums(const float* x, int64_t rows, int64_t columns, float* sums);

}  // namespace cloze::cpu
