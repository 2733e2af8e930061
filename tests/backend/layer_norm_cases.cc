#include <fmt/format.h>

#include <cmath>

#include "cases.h"
#include "cloze/backend/random16.h"

namespace cloze::test {
namespace {

struct LayerNormCase {
  int64_t T, H;
  Dropout dropout = {};
  bool residual = true;
  bool statistics = true;  ///< forward: sum, mean and rstd wanted; backward: dx wanted
  double eps = 1e-12;
  double offset = 0;  ///< mean of x

  std::string name() const {
    return fmt::format("T{}_H{}_drop{}_eps{}{}{}{}", T, H, dropout.threshold, eps, offset != 0 ? "_offset" : "",
                       residual ? "_residual" : "", statistics ? "_all" : "");
  }
};

constexpr Dropout kLayerNormDrop{.threshold = 6554, .site = 2, .key = 99};
constexpr Dropout kLayerNormDropHalf{.threshold = 32768, .site = 0, .key = 0xFFFFFFFFFFFFFFFF};

const LayerNormCase kLayerNormCases[] = {
    {0, 8},
    {1, 1, {}, true, true, 1e-5},
    {1, 2, {}, false, true, 0.1},
    {5, 2, kLayerNormDrop, true, true, 0.1},
    {7, 13, kLayerNormDrop},
    {7, 13, kLayerNormDrop, false},
    {7, 13, kLayerNormDrop, true, false},
    {7, 13, {}, true, false},
    {7, 13, {}, false, false},
    {7, 13, {}, false, true},
    {13, 7, kLayerNormDropHalf, true, true, 1e-5},
    {33, 65},
    {5, 127, kLayerNormDrop},
    {2, 128},
    {65, 33, kLayerNormDropHalf},
    {64, 192, kLayerNormDrop, true, true},
    {9, 256, {}, true, false},
    {3, 768, {}, true, true},
    {3, 768, kLayerNormDrop, true, false},
    {70, 312, kLayerNormDrop},
    {2, 3072},
    {300, 64, kLayerNormDrop},
    {513, 96, {}, false},
    {6, 129, {}, true, true, 1e-12, 100},  // one pass over sum and sum of squares would lose its digits here
    {6, 768, {}, false, false, 1e-12, 100},
};

struct LayerNormInputs {
  Tensor x, residual, gamma, beta;
};

LayerNormInputs random_layer_norm(const LayerNormCase& c, CallBuilder& b) {
  return {b.normal({c.T, c.H}, 1, c.offset), c.residual ? b.normal({c.T, c.H}) : Tensor(), b.normal({c.H}, 0.3, 1),
          b.normal({c.H}, 0.5)};
}

AddLayerNormArgs layer_norm_exact_forward(const LayerNormCase& c, const LayerNormInputs& in) {
  const AddLayerNormArgs args{.x = in.x,
                              .residual = in.residual,
                              .gamma = in.gamma,
                              .beta = in.beta,
                              .dropout = c.dropout,
                              .eps = c.eps,
                              .sum = zeros_f64({c.T, c.H}),
                              .mean = zeros_f64({c.T}),
                              .rstd = zeros_f64({c.T}),
                              .y = zeros_f64({c.T, c.H})};
  ref_backend().add_layer_norm(args);
  return args;
}

/// Per element: dropout's factor.
double factor(const LayerNormCase& c, Random16& random, int64_t i) {
  return c.dropout.active() ? random.factor(i) : 1;
}

/// Magnitudes of sum (|m x| + |residual|), mean (their mean over H), rstd and y. A centred element is wrong by its
/// row's a_h = |sum_h| + mean |sum|, the variance therefore by 2 mean |sum - mean| a of itself.
std::vector<Tensor> layer_norm_forward_magnitudes(const LayerNormCase& c, const LayerNormInputs& in) {
  const AddLayerNormArgs exact = layer_norm_exact_forward(c, in);
  const double H = static_cast<double>(c.H);
  const Tensor sums(exact.sum.shape(), DType::kF64), means = zeros_f64({c.T}), rstds = zeros_f64({c.T});
  const Tensor y(exact.sum.shape(), DType::kF64);
  Random16 random(c.dropout);
  for (int64_t t = 0; t < c.T; ++t) {
    const auto at = [&](const Tensor& tensor, int64_t h) -> double& { return tensor.data<double>()[t * c.H + h]; };
    double &mean = means.data<double>()[t], mu = exact.mean.data<double>()[t], r = exact.rstd.data<double>()[t];
    for (int64_t h = 0; h < c.H; ++h) {
      at(sums, h) = std::abs(factor(c, random, t * c.H + h) * at(in.x, h));
      if (c.residual) at(sums, h) += std::abs(at(in.residual, h));
      mean += at(sums, h) / H;
    }
    double variance_error = 0;
    for (int64_t h = 0; h < c.H; ++h)
      variance_error += std::abs(at(exact.sum, h) - mu) * (at(sums, h) + mean) / H * r * r;
    rstds.data<double>()[t] = r * (1 + variance_error);
    for (int64_t h = 0; h < c.H; ++h)
      at(y, h) = std::abs(in.beta.data<double>()[h]) +
                 std::abs(in.gamma.data<double>()[h]) *
                     ((at(sums, h) + mean) * r + std::abs(at(exact.sum, h) - mu) * r * (1 + variance_error));
  }
  if (c.statistics) return {sums, means, rstds, y};
  return {y};
}

void build_forward(const LayerNormCase& c, CallBuilder& b) {
  const LayerNormInputs in = random_layer_norm(c, b);
  const AddLayerNormArgs args{.x = b.input(in.x),
                              .residual = b.input(in.residual),
                              .gamma = b.input(in.gamma),
                              .beta = b.input(in.beta),
                              .dropout = c.dropout,
                              .eps = c.eps,
                              .sum = c.statistics ? b.output("sum", {c.T, c.H}) : Tensor(),
                              .mean = c.statistics ? b.output("mean", {c.T}) : Tensor(),
                              .rstd = c.statistics ? b.output("rstd", {c.T}) : Tensor(),
                              .y = b.output("y", {c.T, c.H})};
  b.call.run = [=](const Backend& backend) { backend.add_layer_norm(args); };
  b.call.magnitudes = [=] { return layer_norm_forward_magnitudes(c, in); };
}

/// The backward formulas with absolute values; e = (|sum| + |mean|) rstd bounds xhat and its error.
std::vector<Tensor> layer_norm_backward_magnitudes(const LayerNormCase& c, const LayerNormInputs& in,
                                                   const AddLayerNormArgs& exact, const Tensor& dy) {
  const Tensor dx = zeros_f64({c.T, c.H}), dsum = zeros_f64({c.T, c.H}), dgamma = zeros_f64({c.H}),
               dbeta = zeros_f64({c.H});
  Random16 random(c.dropout);
  for (int64_t t = 0; t < c.T; ++t) {
    const double r = exact.rstd.data<double>()[t], mean = std::abs(exact.mean.data<double>()[t]);
    const auto d = [&](int64_t h) { return std::abs(dy.data<double>()[t * c.H + h]); };
    const auto g = [&](int64_t h) { return d(h) * std::abs(in.gamma.data<double>()[h]); };
    const auto e = [&](int64_t h) { return (std::abs(exact.sum.data<double>()[t * c.H + h]) + mean) * r; };
    double mean_g = 0, mean_ge = 0;
    for (int64_t h = 0; h < c.H; ++h) {
      mean_g += g(h) / static_cast<double>(c.H);
      mean_ge += g(h) * e(h) / static_cast<double>(c.H);
    }
    for (int64_t h = 0; h < c.H; ++h) {
      const int64_t i = t * c.H + h;
      dsum.data<double>()[i] = r * (g(h) + mean_g + e(h) * mean_ge);
      dx.data<double>()[i] = factor(c, random, i) * dsum.data<double>()[i];
      dgamma.data<double>()[h] += d(h) * e(h);
      dbeta.data<double>()[h] += d(h);
    }
  }
  std::vector<Tensor> magnitudes;
  if (c.statistics) magnitudes.push_back(dx);
  if (c.residual) magnitudes.push_back(dsum);
  magnitudes.insert(magnitudes.end(), {dgamma, dbeta});
  return magnitudes;
}

void build_backward(const LayerNormCase& c, CallBuilder& b) {
  const LayerNormInputs in = random_layer_norm(c, b);
  const Tensor dy = b.normal({c.T, c.H});
  const AddLayerNormArgs exact = layer_norm_exact_forward(c, in);
  const AddLayerNormBackwardArgs args{.sum = b.saved(exact.sum),
                                      .mean = b.saved(exact.mean),
                                      .rstd = b.saved(exact.rstd),
                                      .gamma = b.input(in.gamma),
                                      .dy = b.input(dy),
                                      .dropout = c.dropout,
                                      .dx = c.statistics ? b.output("dx", {c.T, c.H}) : Tensor(),
                                      .dresidual = c.residual ? b.output("dresidual", {c.T, c.H}) : Tensor(),
                                      .dgamma = b.output("dgamma", {c.H}),
                                      .dbeta = b.output("dbeta", {c.H})};
  b.call.run = [=](const Backend& backend) { backend.add_layer_norm_backward(args); };
  b.call.magnitudes = [=] { return layer_norm_backward_magnitudes(c, in, exact, dy); };
  b.call.forward = [=] { return layer_norm_exact_forward(c, in).y; };
  b.call.dy = dy;
  b.call.gradients = {{in.x, args.dx}, {in.residual, args.dresidual}, {in.gamma, args.dgamma}, {in.beta, args.dbeta}};
}

Case layer_norm_forward_case(const LayerNormCase& c) {
  return {.kernel = "add_layer_norm",
          .name = c.name(),
          .flops = 8.0 * double(c.T) * double(c.H),
          .build = [c](CallBuilder& b) { build_forward(c, b); }};
}
Case layer_norm_backward_case(const LayerNormCase& c) {
  return {.kernel = "add_layer_norm_backward",
          .name = c.name(),
          .flops = 14.0 * double(c.T) * double(c.H),
          .build = [c](CallBuilder& b) { build_backward(c, b); }};
}

}  // namespace

std::vector<Case> layer_norm_cases() {
  std::vector<Case> cases;
  for (const LayerNormCase& c : kLayerNormCases) cases.push_back(layer_norm_forward_case(c));
  for (const LayerNormCase& c : kLayerNormCases) cases.push_back(layer_norm_backward_case(c));
  return cases;
}

std::vector<Case> layer_norm_timing_cases() {
  constexpr struct { int64_t T, H; } kSizes[] = {{1024, 768}, {2048, 256}, {2048, 128}, {16, 768}, {16, 128}};
  const auto named = [](Case one, const char* suffix, int64_t T, int64_t H) {
    one.name = fmt::format("{}x{}{}", T, H, suffix);
    return one;
  };
  std::vector<Case> cases;
  for (const auto& [T, H] : kSizes) cases.push_back(named(layer_norm_forward_case({T, H, {}, true, false}), "", T, H));
  for (const auto& [T, H] : kSizes)
    cases.push_back(named(layer_norm_forward_case({T, H, kLayerNormDrop}), "_training", T, H));
  for (const auto& [T, H] : kSizes) cases.push_back(named(layer_norm_backward_case({T, H, kLayerNormDrop}), "", T, H));
  return cases;
}

}  // namespace cloze::test
