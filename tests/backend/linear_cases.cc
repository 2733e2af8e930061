#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "cases.h"

namespace cloze::test {
namespace {

const char* activation_name(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return "none";
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_tanh";
    case Activation::kRelu:
      return "relu";
    case Activation::kTanh:
      return "tanh";
  }
  return "?";
}
constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu,
                                       Activation::kTanh};

struct LinearShape {
  int64_t T, K, M;
};
// Sizes 0 and 1, odd ones around the borders of tiles and panels, BERT's own from tiny to base, many rows.
constexpr LinearShape kLinearShapes[] = {
    {0, 7, 5},      {3, 0, 5},       {3, 5, 0},      {1, 1, 1},      {1, 7, 1},       {2, 1, 16},     {7, 13, 33},
    {13, 33, 7},    {6, 16, 15},     {6, 17, 16},    {12, 64, 17},   {33, 65, 127},   {65, 127, 33},  {127, 33, 65},
    {2, 128, 128},  {5, 128, 512},   {64, 192, 192}, {17, 192, 768}, {17, 256, 1024}, {9, 768, 768},  {7, 768, 3072},
    {6, 3072, 768}, {2, 128, 30522}, {300, 64, 96},  {513, 128, 64}, {130, 256, 256}, {1, 3072, 768}, {4, 768, 2},
};

/// Weights that give pre a standard deviation of about 1.5: where activations bend.
double weight_sigma(int64_t K) {
  return 1.5 / std::sqrt(static_cast<double>(std::max<int64_t>(K, 1)));
}

struct LinearCase {
  LinearShape shape;
  Activation activation = Activation::kNone;
  bool bias = true, pre = true, prepared = false;
};

void build_linear(const LinearCase& c, CallBuilder& b) {
  const int64_t T = c.shape.T, K = c.shape.K, M = c.shape.M;
  const bool wants_pre = c.pre && c.activation != Activation::kNone;
  const Tensor x = b.normal({T, K}), weight = b.normal({M, K}, weight_sigma(K));
  const Tensor bias = c.bias ? b.normal({M}, 0.5) : Tensor();
  LinearArgs args{.x = b.input(x),
                  .weight = b.input(weight),
                  .bias = b.input(bias),
                  .activation = c.activation,
                  .prepared = nullptr,
                  .pre = wants_pre ? b.output("pre", {T, M}) : Tensor(),
                  .y = b.output("y", {T, M})};
  std::shared_ptr<PreparedWeight> prepared;
  const Backend* prepared_by = nullptr;
  b.call.run = [=](const Backend& backend) mutable {
    if (c.prepared && prepared_by != &backend) {
      prepared = backend.prepare(args.weight, Precision::kF32);
      prepared_by = &backend;
      args.prepared = prepared.get();
    }
    backend.linear(args);
  };
  b.call.magnitudes = [=] {  // sum_k |x_k w_k| + |bias|; activations have slopes up to 1.13 and |y| <= |pre|
    const Tensor pre = zeros_f64({T, M});
    ref_backend().linear({.x = absolute(x),
                          .weight = absolute(weight),
                          .bias = absolute(bias),
                          .activation = Activation::kNone,
                          .prepared = nullptr,
                          .pre = {},
                          .y = pre});
    return std::vector<Tensor>(wants_pre ? 2 : 1, pre);
  };
}

Case linear_case(const LinearCase& c) {
  const auto [T, K, M] = c.shape;
  return {.kernel = "linear",
          .name = fmt::format("T{}_K{}_M{}_{}{}{}{}", T, K, M, activation_name(c.activation), c.bias ? "_bias" : "",
                              c.pre ? "_pre" : "", c.prepared ? "_prepared" : ""),
          .flops = 2.0 * double(T) * double(K) * double(M),
          .ulps = 8,
          .build = [c](CallBuilder& b) { build_linear(c, b); }};
}

struct LinearBackwardCase {
  LinearShape shape;
  Activation activation = Activation::kNone;
  bool dx = true, dweight = true, dbias = true;
};

/// Finite differences must not step over relu's corner at 0: small cases keep away from it, others are not checked.
bool may_differentiate(const LinearBackwardCase& c) {
  return c.activation != Activation::kRelu || (c.shape.K > 0 && c.shape.T * c.shape.M < 500);
}

/// Writes pre, if there is an activation.
Tensor input_away_from_corner(CallBuilder& b, const LinearBackwardCase& c, const Tensor& weight, const Tensor& pre) {
  while (true) {
    const Tensor x = b.normal({c.shape.T, c.shape.K});
    if (c.activation == Activation::kNone) return x;
    ref_backend().linear({.x = x,
                          .weight = weight,
                          .bias = {},
                          .activation = Activation::kNone,
                          .prepared = nullptr,
                          .pre = {},
                          .y = pre});
    if (c.activation != Activation::kRelu || !may_differentiate(c)) return x;
    double nearest = 1;
    for (const double value : pre.values<double>()) nearest = std::min(nearest, std::abs(value));
    if (nearest > 2e-3) return x;
  }
}

void build_linear_backward(const LinearBackwardCase& c, CallBuilder& b) {
  const int64_t T = c.shape.T, K = c.shape.K, M = c.shape.M;
  const bool active = c.activation != Activation::kNone;
  const Tensor weight = b.normal({M, K}, weight_sigma(K)), dy = b.normal({T, M}), pre = zeros_f64({T, M});
  const Tensor x = input_away_from_corner(b, c, weight, pre), bias = zeros_f64({M});
  const LinearBackwardArgs args{.x = b.input(x),
                                .weight = b.input(weight),
                                .pre = active ? b.saved(pre) : Tensor(),
                                .dy = b.input(dy),
                                .activation = c.activation,
                                .dx = c.dx ? b.output("dx", {T, K}) : Tensor(),
                                .dweight = c.dweight ? b.output("dweight", {M, K}) : Tensor(),
                                .dbias = c.dbias ? b.output("dbias", {M}) : Tensor()};
  b.call.run = [=](const Backend& backend) { backend.linear_backward(args); };
  b.call.magnitudes = [=] {  // slopes are up to 1.13, and wrong by about one rounding of 1
    const Tensor dpre = mapped(dy, [&](double value, int64_t) { return (active ? 2 : 1) * std::abs(value); });
    const LinearBackwardArgs bounds{.x = absolute(x),
                                    .weight = absolute(weight),
                                    .pre = {},
                                    .dy = dpre,
                                    .activation = Activation::kNone,
                                    .dx = c.dx ? zeros_f64({T, K}) : Tensor(),
                                    .dweight = c.dweight ? zeros_f64({M, K}) : Tensor(),
                                    .dbias = c.dbias ? zeros_f64({M}) : Tensor()};
    ref_backend().linear_backward(bounds);
    std::vector<Tensor> magnitudes;
    for (const Tensor& bound : {bounds.dx, bounds.dweight, bounds.dbias})
      if (bound.defined()) magnitudes.push_back(bound);
    return magnitudes;
  };
  if (!may_differentiate(c)) return;
  b.call.forward = [=] {
    const Tensor y = zeros_f64({T, M});
    ref_backend().linear(
        {.x = x, .weight = weight, .bias = bias, .activation = c.activation, .prepared = nullptr, .pre = {}, .y = y});
    return y;
  };
  b.call.dy = dy;
  b.call.gradients = {{x, args.dx}, {weight, args.dweight}, {bias, args.dbias}};
}

Case linear_backward_case(const LinearBackwardCase& c) {
  const auto [T, K, M] = c.shape;
  return {.kernel = "linear_backward",
          .name = fmt::format("T{}_K{}_M{}_{}{}{}{}", T, K, M, activation_name(c.activation), c.dx ? "_dx" : "",
                              c.dweight ? "_dweight" : "", c.dbias ? "_dbias" : ""),
          .flops = 2.0 * double(T) * double(K) * double(M) * (int{c.dx} + int{c.dweight}),
          .ulps = 10,  // the slope of gelu_tanh is a sum of terms that cancel
          .build = [c](CallBuilder& b) { build_linear_backward(c, b); }};
}

}  // namespace

std::vector<Case> linear_cases() {
  std::vector<Case> cases;
  for (const Activation activation : kActivations)
    for (const bool bias : {true, false})
      for (const bool pre : {true, false})
        for (const bool prepared : {true, false})
          if (activation != Activation::kNone || !pre)
            cases.push_back(linear_case({{7, 13, 33}, activation, bias, pre, prepared}));
  for (size_t i = 0; i < std::size(kLinearShapes); ++i) {
    const Activation activation = kActivations[i % 5];
    cases.push_back(linear_case({kLinearShapes[i], activation, true, true, true}));
    cases.push_back(linear_case({kLinearShapes[i], kActivations[(i + 1) % 5], i % 3 != 0, false, false}));
  }
  for (const Activation activation : kActivations) {
    cases.push_back(linear_backward_case({{7, 13, 9}, activation}));
    cases.push_back(linear_backward_case({{5, 3, 7}, activation, true, false, false}));
    cases.push_back(linear_backward_case({{5, 3, 7}, activation, false, true, false}));
    cases.push_back(linear_backward_case({{5, 3, 7}, activation, false, false, true}));
    cases.push_back(linear_backward_case({{5, 3, 7}, activation, false, true, true}));
  }
  for (size_t i = 0; i < std::size(kLinearShapes); ++i) {
    cases.push_back(linear_backward_case({kLinearShapes[i], kActivations[i % 5]}));
    const bool large =
        kLinearShapes[i].K * kLinearShapes[i].M > 500000;  // one variant is enough for the time that they take
    if (!large)
      cases.push_back(
          linear_backward_case({kLinearShapes[i], kActivations[(i + 2) % 5], i % 2 == 0, true, i % 3 != 0}));
  }
  return cases;
}

/// Forward: what inference runs, a product with bias over a weight prepared beforehand; BERT-base, mini and tiny, one
/// text of 16 tokens, heads of few columns. Some of them as training runs them, too.
std::vector<Case> linear_timing_cases() {
  constexpr LinearShape kForward[] = {
      {1024, 768, 768},  {1024, 768, 3072}, {1024, 3072, 768}, {128, 768, 3072}, {2048, 256, 256}, {2048, 256, 1024},
      {2048, 1024, 256}, {2048, 128, 128},  {2048, 128, 512},  {2048, 512, 128}, {16, 768, 768},   {16, 768, 3072},
      {16, 3072, 768},   {16, 256, 1024},   {16, 128, 512},    {16, 128, 128},   {1, 768, 768},    {32, 768, 2},
  };
  constexpr LinearShape kTraining[] = {
      {1024, 768, 768}, {1024, 768, 3072}, {1024, 3072, 768}, {2048, 256, 1024},
      {2048, 128, 512}, {2048, 128, 128},  {32, 768, 2},
  };
  const auto named = [](Case one, const LinearShape& shape, const char* suffix) {
    one.name = fmt::format("{}x{}x{}{}", shape.T, shape.K, shape.M, suffix);
    return one;
  };
  const auto feeds_forward = [](const LinearShape& shape) { return shape.M == 4 * shape.K; };
  std::vector<Case> cases;
  for (const LinearShape& shape : kForward)
    cases.push_back(named(linear_case({shape, Activation::kNone, true, false, true}), shape, ""));
  for (const LinearShape& shape : kForward)
    if (feeds_forward(shape))
      cases.push_back(named(linear_case({shape, Activation::kGelu, true, false, true}), shape, "_gelu"));
  for (const LinearShape& shape : kTraining)
    cases.push_back(feeds_forward(shape)
                        ? named(linear_case({shape, Activation::kGelu, true, true, false}), shape, "_gelu_training")
                        : named(linear_case({shape, Activation::kNone, true, false, false}), shape, "_training"));
  for (const LinearShape& shape : kTraining)
    cases.push_back(feeds_forward(shape) ? named(linear_backward_case({shape, Activation::kGelu}), shape, "_gelu")
                                         : named(linear_backward_case({shape}), shape, ""));
  return cases;
}

}  // namespace cloze::test
