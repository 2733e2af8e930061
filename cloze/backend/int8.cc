#include "cloze/backend/int8.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace cloze {

RowScale row_scale(float lo, float hi) {
  const float scale = (hi - lo) * (1.0f / 255.0f);
  if (!(scale > 1e-30f)) return {0, 0, 0};
  const float inverse = 1.0f / scale;
  return {scale, inverse, static_cast<int32_t>(round_even(std::clamp(-lo * inverse, 0.0f, 255.0f)))};
}

RowScale stored_scale(float scale, int32_t zero) {
  if (!(scale > 1e-30f)) return {0, 0, 0};
  return {scale, 1.0f / scale, zero};
}

void InputRange::cover(const Tensor& x) {
  for (const float value : x.values<float>()) {
    if (!std::isfinite(value)) {
      lo = -std::numeric_limits<float>::infinity(), hi = std::numeric_limits<float>::infinity();
      return;
    }
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
}

namespace {

void check_inputs(int64_t K) {
  CLOZE_CHECK(K <= kMostInt8Inputs, ErrorCode::kShape, "[int8] a weight of {} inputs; at most {} can be summed", K,
              kMostInt8Inputs);
}

}  // namespace

Int8Weight quantize_weight(const Tensor& weight) {
  const int64_t M = weight.shape()[0], K = weight.shape()[1];
  check_inputs(K);
  Int8Weight result;
  result.precision = Precision::kInt8;
  result.values = Tensor({M, K}, DType::kI8);
  result.scales = Tensor({M}, DType::kF32);
  result.sums = Tensor({M}, DType::kI32);
  for (int64_t m = 0; m < M; ++m) {
    const float* row = weight.data<float>() + m * K;
    int8_t* to = result.values.data<int8_t>() + m * K;
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

Int8Weight int8_weight(const Tensor& values, const Tensor& scales) {
  const int64_t M = values.shape()[0], K = values.shape()[1];
  check_inputs(K);
  Int8Weight result;
  result.precision = Precision::kInt8;
  result.values = values;
  result.scales = scales;
  result.sums = Tensor({M}, DType::kI32);
  for (int64_t m = 0; m < M; ++m) {
    const int8_t* row = values.data<int8_t>() + m * K;
    result.sums.data<int32_t>()[m] = std::accumulate(row, row + K, int32_t{0});
  }
  return result;
}

Int8Weight join_int8(std::span<const Int8Weight* const> parts) {
  const int64_t K = parts[0]->values.shape()[1];
  int64_t M = 0;
  for (const Int8Weight* part : parts) M += part->values.shape()[0];
  Int8Weight joined;
  joined.precision = Precision::kInt8;
  joined.values = Tensor({M, K}, DType::kI8);
  joined.scales = Tensor({M}, DType::kF32);
  joined.sums = Tensor({M}, DType::kI32);
  if (std::ranges::all_of(parts, [&](const Int8Weight* part) { return part->inputs == parts[0]->inputs; }))
    joined.inputs = parts[0]->inputs;
  M = 0;
  for (const Int8Weight* part : parts) {
    const int64_t end = M + part->values.shape()[0];
    joined.values.rows(M, end).copy_from(part->values);
    joined.scales.rows(M, end).copy_from(part->scales);
    joined.sums.rows(M, end).copy_from(part->sums);
    M = end;
  }
  return joined;
}

Tensor Int8Weight::expand() const {
  std::vector<int32_t> rows(static_cast<size_t>(values.shape()[0]));
  std::iota(rows.begin(), rows.end(), 0);
  return expand_int8_rows(*this, rows);
}

Tensor expand_int8_rows(const Int8Weight& weight, std::span<const int32_t> rows) {
  const int64_t K = weight.values.shape()[1];
  const Tensor expanded({static_cast<int64_t>(rows.size()), K}, DType::kF32);
  float* to = expanded.data<float>();
  for (const int32_t m : rows) {
    const int8_t* from = weight.values.data<int8_t>() + m * K;
    const float scale = weight.scales.data<float>()[m];
    for (int64_t k = 0; k < K; ++k) *to++ = scale * static_cast<float>(from[k]);
  }
  return expanded;
}

}  // namespace cloze
