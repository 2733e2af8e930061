// How results of two backends are compared, for the tests and for bench/.
#pragma once

#include <string>

#include "cloze/tensor/tensor.h"

namespace cloze::test {

bool same_bits(const Tensor& a, const Tensor& b);

/// What is wrong with `got`, empty if nothing: |got - expected| <= ulps 2^-24 magnitude must hold for every element,
/// exactly equal where the magnitude is 0. Each is f32 or f64, all of one shape.
std::string difference(const Tensor& got, const Tensor& expected, const Tensor& magnitude, double ulps);

}  // namespace cloze::test
