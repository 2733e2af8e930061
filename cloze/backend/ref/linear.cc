#include <algorithm>
#include <vector>

#include "cloze/backend/bf16.h"
#include "cloze/backend/int8.h"
#include "cloze/backend/ref/activation.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"
#include "cloze/backend/sparse.h"

namespace cloze {
namespace {

using ref::activate;
using ref::activation_slope;
using ref::add_scaled;
using ref::data_or_null;
using ref::dot;
using ref::for_float;

/// A copy of an f32 tensor, rounded as bf16.h says.
Tensor rounded(const Tensor& x) {
  const Tensor copy(x.shape(), DType::kF32);
  std::ranges::transform(x.values<float>(), copy.data<float>(), round_bf16);
  return copy;
}

template <class Real>
void linear_of(const LinearArgs& a) {
  const int64_t T = a.x.shape()[0], K = a.x.shape()[1], M = a.weight.shape()[0];
  const Real *x = a.x.data<Real>(), *weight = a.weight.data<Real>(), *bias = data_or_null<Real>(a.bias);
  Real *pre = data_or_null<Real>(a.pre), *y = a.y.data<Real>();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t m = 0; m < M; ++m) {
      const Real sum = dot(x + t * K, weight + m * K, K) + (bias != nullptr ? bias[m] : Real(0));
      if (pre != nullptr) pre[t * M + m] = sum;
      y[t * M + m] = activate(a.activation, sum);
    }
  }
}

/// The formula of int8.h.
void linear_int8(const LinearArgs& a, const Int8Weight& weight) {
  const int64_t T = a.x.shape()[0], K = a.x.shape()[1], M = a.y.shape()[1];
  const int8_t* q = weight.values.data<int8_t>();
  const float* bias = data_or_null<float>(a.bias);
  std::vector<int32_t> u(static_cast<size_t>(K));
  for (int64_t t = 0; t < T; ++t) {
    const float* x = a.x.data<float>() + t * K;
    float lo = 0, hi = 0;
    for (int64_t k = 0; k < K; ++k) lo = std::min(lo, x[k]), hi = std::max(hi, x[k]);
    const RowScale row = weight.inputs.value_or(row_scale(lo, hi));
    for (int64_t k = 0; k < K; ++k) {
      const float value = round_even(x[k] * row.inverse) + static_cast<float>(row.zero);
      u[static_cast<size_t>(k)] = static_cast<int32_t>(value > 0 ? std::min(value, 255.0f) : 0.0f);
    }
    for (int64_t m = 0; m < M; ++m) {
      int32_t sum = -row.zero * weight.sums.data<int32_t>()[m];
      for (int64_t k = 0; k < K; ++k) sum += u[static_cast<size_t>(k)] * q[m * K + k];
      const float pre = static_cast<float>(sum) * (row.scale * weight.scales.data<float>()[m]);
      a.y.data<float>()[t * M + m] = activate(a.activation, pre + (bias != nullptr ? bias[m] : 0.0f));
    }
  }
}

/// dpre[T,M] = dy * activation'(pre)
template <class Real>
Tensor gradient_before_activation(const LinearBackwardArgs& a) {
  if (a.activation == Activation::kNone) return a.dy;
  const Tensor dpre(a.dy.shape(), a.dy.dtype());
  const Real *pre = a.pre.data<Real>(), *dy = a.dy.data<Real>();
  for (int64_t i = 0; i < dpre.elements(); ++i) dpre.data<Real>()[i] = dy[i] * activation_slope(a.activation, pre[i]);
  return dpre;
}

template <class Real>
void linear_backward_of(const LinearBackwardArgs& a) {
  const int64_t T = a.dy.shape()[0], M = a.dy.shape()[1];
  const int64_t K = a.dx.defined() ? a.dx.shape()[1] : a.dweight.defined() ? a.dweight.shape()[1] : 0;
  const Tensor exact = gradient_before_activation<Real>(a);
  const bool bf16 = a.precision == Precision::kBF16 && std::is_same_v<Real, float>;
  const auto factor = [&](const Tensor& tensor) { return bf16 && tensor.defined() ? rounded(tensor) : tensor; };
  const Tensor gradient = factor(exact), inputs = factor(a.x), factors = factor(a.weight);
  const Real *x = data_or_null<Real>(inputs), *weight = data_or_null<Real>(factors), *dpre = gradient.data<Real>();
  Real *dx = data_or_null<Real>(a.dx), *dweight = data_or_null<Real>(a.dweight), *dbias = data_or_null<Real>(a.dbias);
  for (const Tensor& output : {a.dx, a.dweight, a.dbias})
    if (output.defined()) output.set_zero();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t m = 0; m < M; ++m) {
      const Real d = dpre[t * M + m];
      if (dx != nullptr) add_scaled(d, weight + m * K, dx + t * K, K);
      if (dweight != nullptr) add_scaled(d, x + t * K, dweight + m * K, K);
      if (dbias != nullptr) dbias[m] += exact.data<Real>()[t * M + m];
    }
  }
}

}  // namespace

std::unique_ptr<PreparedWeight> RefBackend::prepare(const CompactWeight& weight) const {
  if (const auto* sparse = dynamic_cast<const SparseWeight*>(&weight); sparse != nullptr)
    return std::make_unique<SparseWeight>(*sparse);
  return std::make_unique<Int8Weight>(dynamic_cast<const Int8Weight&>(weight));
}

std::unique_ptr<PreparedWeight> RefBackend::prepare(const Tensor& weight, Precision precision) const {
  if (precision != Precision::kInt8) return nullptr;
  return std::make_unique<Int8Weight>(quantize_weight(weight));
}

void RefBackend::linear(const LinearArgs& a) const {
  if (const auto* sparse = dynamic_cast<const SparseWeight*>(a.prepared); sparse != nullptr) {
    LinearArgs same = a;
    same.weight = sparse->expand();
    same.prepared = nullptr;
    return linear(same);
  }
  if (a.prepared != nullptr) return linear_int8(a, static_cast<const Int8Weight&>(*a.prepared));
  if (a.precision == Precision::kBF16 && a.x.dtype() == DType::kF32) {
    LinearArgs same = a;
    same.x = rounded(a.x);
    same.weight = rounded(a.weight);
    return linear_of<float>(same);
  }
  for_float(a.x.dtype(), [&](auto zero) { linear_of<decltype(zero)>(a); });
}

void RefBackend::linear_backward(const LinearBackwardArgs& a) const {
  for_float(a.dy.dtype(), [&](auto zero) { linear_backward_of<decltype(zero)>(a); });
}

const Backend& ref_backend() {
  static const RefBackend instance;
  return instance;
}

}  // namespace cloze
