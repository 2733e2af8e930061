#include "cloze/backend/int8.h"

#include <algorithm>
#include <cmath>

namespace cloze {

RowScale row_scale(float lo, float hi) {
  const float scale = (hi - lo) * (1.0f / 255.0f);
  if (!(scale > 1e-30f)) return {0, 0, 0};
  const float inverse = 1.0f / scale;
  return {scale, inverse, static_cast<int32_t>(round_even(std::clamp(-lo * inverse, 0.0f, 255.0f)))};
}

Int8Weight quantize_weight(const Tensor& weight) {
  const int64_t M = weight.shape()[0], K = weight.shape()[1];
  CLOZE_CHECK(K <= kMostInt8Inputs, ErrorCode::kShape, "[int8] a weight of {} inputs; at most {} can be summed", K,
              kMostInt8Inputs);
  Int8Weight result;
  result.precision = Precision::kInt8;
  result.values = Tensor({M, K}, DType::kU8);
  result.scales = Tensor({M}, DType::kF32);
  result.sums = Tensor({M}, DType::kI32);
  for (int64_t m = 0; m < M; ++m) {
    const float* row = weight.data<float>() + m * K;
    int8_t* to = reinterpret_cast<int8_t*>(result.values.data<uint8_t>()) + m * K;
    float largest = 0;
    for (int64_t k = 0; k < K; ++k) largest = std::max(largest, std::abs(row[k]));
    CLOZE_CHECK(std::isfinite(largest), ErrorCode::kValue, "[int8] row {} of a weight is not finite", m);
    const float scale = largest / 127.0f, inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
    int32_t sum = 0;
    for (int64_t k = 0; k < K; ++k) {
      const int32_t q = static_cast<int32_t>(round_even(std::clamp(row[k] * inverse, -127.0f, 127.0f)));
      to[k] = static_cast<int8_t>(q);
      sum += q;
    }
    result.scales.data<float>()[m] = inverse > 0 ? scale : 0;
    result.sums.data<int32_t>()[m] = sum;
  }
  return result;
}

}  // namespace cloze
