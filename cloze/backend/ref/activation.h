// Activations and their derivatives, as functions of the value before the activation.
#pragma once

#include <cmath>
#include <numbers>

#include "cloze/backend/backend.h"

namespace cloze::ref {

/// Phi(x): the standard normal distribution function.
template <class Real>
Real normal_cdf(Real x) {
  return Real(0.5) * (Real(1) + std::erf(x * Real(std::numbers::sqrt2 / 2)));
}

/// The inner function of kGeluTanh: sqrt(2/pi) (x + 0.044715 x^3).
template <class Real>
Real gelu_tanh_inner(Real x) {
  return Real(std::numbers::sqrt2 * std::numbers::inv_sqrtpi) * (x + Real(0.044715) * x * x * x);
}

template <class Real>
Real activate(Activation activation, Real x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return x * normal_cdf(x);
    case Activation::kGeluTanh:
      return Real(0.5) * x * (Real(1) + std::tanh(gelu_tanh_inner(x)));
    case Activation::kRelu:
      return x < Real(0) ? Real(0) : x;  // so that NaN stays NaN
    case Activation::kTanh:
      return std::tanh(x);
  }
  return x;
}

/// d activate(x) / dx; 0 for relu at 0.
template <class Real>
Real activation_slope(Activation activation, Real x) {
  switch (activation) {
    case Activation::kNone:
      return Real(1);
    case Activation::kGelu: {
      const Real density = Real(std::numbers::inv_sqrtpi / std::numbers::sqrt2) * std::exp(-x * x / 2);
      return normal_cdf(x) + x * density;
    }
    case Activation::kGeluTanh: {
      const Real t = std::tanh(gelu_tanh_inner(x));
      const Real inner_slope =
          Real(std::numbers::sqrt2 * std::numbers::inv_sqrtpi) * (Real(1) + 3 * Real(0.044715) * x * x);
      return Real(0.5) * (Real(1) + t) + Real(0.5) * x * (Real(1) - t * t) * inner_slope;
    }
    case Activation::kRelu:
      return x > Real(0) ? Real(1) : Real(0);
    case Activation::kTanh: {
      const Real t = std::tanh(x);
      return Real(1) - t * t;
    }
  }
  return Real(1);
}

}  // namespace cloze::ref
