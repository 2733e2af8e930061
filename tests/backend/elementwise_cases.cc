// adamw, adamw_rows, add_into, scale, sum_squares.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cases.h"

namespace cloze::test {
namespace {

struct AdamWCase {
  Shape shape;
  int64_t step;
  double decay = 0.01, grad_scale = 1, beta2 = 0.999;
  bool holes = true;  ///< some gradients are 0
  std::string name() const {
    return fmt::format("{}_step{}_decay{}_scale{}_beta{}", shape, step, decay, grad_scale, beta2);
  }
};
const AdamWCase kAdamWCases[] = {
    {{0}, 1},
    {{1}, 1},
    {{7}, 2, 0},
    {{33, 65}, 1},
    {{127}, 10, 0.01, 0.37},
    {{4096}, 1000, 0.1},
    {{13, 1001}, 100000},
    {{127}, 3, 0.01, 1, 0.98},
};

void build_adamw(const AdamWCase& c, CallBuilder& b) {
  // At the first step m and v are 0. Elements without gradient must not move but by decay.
  const double past = c.step > 1 ? 1 : 0;
  const Tensor param = b.normal(c.shape), m = b.normal(c.shape, 0.1 * past);
  const Tensor grad =
      mapped(b.normal(c.shape), [&](double value, int64_t i) { return c.holes && i % 5 == 3 ? 0 : value; });
  const Tensor v = mapped(b.normal(c.shape, 0.3 * past),
                          [](double value, int64_t) { return static_cast<double>(static_cast<float>(value * value)); });
  const AdamWArgs args{.param = b.in_place("param", param),
                       .grad = b.input(grad),
                       .m = b.in_place("m", m),
                       .v = b.in_place("v", v),
                       .grad_scale = c.grad_scale,
                       .lr = 3e-3,
                       .beta1 = 0.9,
                       .beta2 = c.beta2,
                       .eps = 1e-6,
                       .decay = c.decay,
                       .step = c.step};
  b.call.run = [=](const Backend& backend) { backend.adamw(args); };
  b.call.magnitudes = [=] {  // |m| and v as sums of absolute values, and the step made of them
    const double step = static_cast<double>(c.step);
    const Tensor ms = mapped(m, [&](double value, int64_t i) {
      return 0.9 * std::abs(value) + 0.1 * std::abs(c.grad_scale * grad.data<double>()[i]);
    });
    const Tensor vs = mapped(v, [&](double value, int64_t i) {
      return c.beta2 * value + (1 - c.beta2) * std::pow(c.grad_scale * grad.data<double>()[i], 2);
    });
    const Tensor params = mapped(param, [&](double value, int64_t i) {
      const double denominator = std::sqrt(vs.data<double>()[i] / (1 - std::pow(c.beta2, step))) + 1e-6;
      return std::abs(value) + 3e-3 / (1 - std::pow(0.9, step)) * ms.data<double>()[i] / denominator;
    });
    return std::vector<Tensor>{params, ms, vs};
  };
}

struct AdamWRowsCase {
  int64_t N, H, R;  ///< R rows of N, or all without an index where R is N
  int64_t steps;    ///< that rows may lack
  bool grad = true;
  double decay = 0.01;
  std::string name() const {
    return fmt::format("N{}_H{}_R{}_steps{}{}_decay{}", N, H, R, steps, grad ? "_grad" : "", decay);
  }
};
const AdamWRowsCase kAdamWRowsCases[] = {
    {5, 8, 0, 3},
    {1, 1, 1, 1},
    {9, 33, 4, 1},
    {40, 65, 13, 7},
    {40, 65, 40, 7, false},
    {13, 130, 5, 20, false},
    {300, 64, 90, 4},
    {64, 192, 64, 12, false},
    {21, 7, 20, 30, true, 0},
    {2, 0, 2, 3},
};

void build_adamw_rows(const AdamWRowsCase& c, CallBuilder& b) {
  const Tensor param = b.normal({c.N, c.H}), done = b.integers({c.N}, 0, c.steps + 1), grad = b.normal({c.R, c.H});
  // Every third row never had a gradient: its moments are 0.
  const auto some = [&](const Tensor& x) {
    return mapped(x, [&](double value, int64_t i) { return i / c.H % 3 == 0 ? 0 : value; });
  };
  const Tensor m = some(b.normal({c.N, c.H}, 0.1));
  const Tensor v = mapped(some(b.normal({c.N, c.H}, 0.3)), [](double value, int64_t) {
    return value == 0 ? 0 : static_cast<double>(static_cast<float>(value * value + 0.01));
  });
  std::vector<int32_t> chosen;  // every so many-th row, the last ones first
  for (int64_t r = c.R; r-- > 0;) chosen.push_back(static_cast<int32_t>(r * c.N / c.R));
  std::vector<AdamWStep> steps;
  for (int64_t i = 0; i < c.steps; ++i) {
    const double step = static_cast<double>(10 + i);
    steps.push_back({.grad_scale = 0.5,
                     .lr = 1e-3 * step,
                     .step = 10 + i,
                     .correction1 = 1 - std::pow(0.9, step),
                     .correction2 = 1 - std::pow(0.999, step)});
  }
  const Tensor placed_done = b.input(done), rows = c.R == c.N ? Tensor() : b.input(Tensor::of({c.R}, chosen));
  AdamWRowsArgs args{.param = b.in_place("param", param),
                     .m = b.in_place("m", m),
                     .v = b.in_place("v", v),
                     .done = {},
                     .rows = rows,
                     .grad = c.grad ? b.input(grad) : Tensor(),
                     .steps = {},
                     .beta1 = 0.9,
                     .beta2 = 0.999,
                     .eps = 1e-6,
                     .decay = c.decay};
  b.call.run = [=](const Backend& backend) {
    AdamWRowsArgs call = args;
    call.done = placed_done.clone();
    call.steps = steps;
    backend.adamw_rows(call);
    for (int64_t row = 0; row < c.N; ++row) {
      const bool given = c.R == c.N || std::ranges::find(chosen, row) != chosen.end();
      const int64_t count = call.done.data<int32_t>()[row], wanted = given ? c.steps : done.data<int32_t>()[row];
      CLOZE_CHECK(count == wanted, ErrorCode::kInternal, "row {} has had {} steps, not {}", row, count, wanted);
    }
  };
  b.call.magnitudes = [=] {  // each step rounds again, and moves param by a few lr
    const double often = static_cast<double>(1 + c.steps);
    const auto larger = [&](const Tensor& x, double by) {
      return mapped(x, [&](double value, int64_t) { return often * (std::abs(value) + by); });
    };
    return std::vector<Tensor>{larger(param, 1e-1 * often), larger(m, c.grad ? 0.2 : 0), larger(v, c.grad ? 1e-3 : 0)};
  };
}

const Shape kElementwiseShapes[] = {{0},    {1},    {7},        {13, 33}, {65, 127}, {2, 128, 3, 5},
                                    {4095}, {4097}, {192, 768}, {100001}};

void build_add_into(const Shape& shape, CallBuilder& b) {
  const Tensor x = b.normal(shape), y = b.normal(shape);
  const AddIntoArgs args{.x = b.input(x), .y = b.in_place("y", y)};
  b.call.run = [=](const Backend& backend) { backend.add_into(args); };
  b.call.magnitudes = [=] {
    return std::vector<Tensor>{
        mapped(x, [&](double value, int64_t i) { return std::abs(value) + std::abs(y.data<double>()[i]); })};
  };
}

void build_scale_by(double factor, const Shape& shape, CallBuilder& b) {
  const Tensor x = b.normal(shape);
  const ScaleArgs args{.x = b.in_place("x", x), .factor = factor};
  b.call.run = [=](const Backend& backend) { backend.scale(args); };
  b.call.magnitudes = [=] { return std::vector<Tensor>{absolute(x)}; };
}

void build_scale(const Shape& shape, CallBuilder& b) {
  build_scale_by(0.1, shape, b);
}

void build_sum_squares(const Shape& shape, CallBuilder& b) {
  const Tensor x = b.normal(shape, 1, 0.5);
  const Tensor argument = b.input(x), sum = b.output_f64("sum", {1});
  b.call.run = [=](const Backend& backend) { sum.data<double>()[0] = backend.sum_squares(argument); };
  b.call.magnitudes = [=] {  // f64 inside, in f32 calls too: 1e-14 of itself, where ulps is 1
    const Tensor exact = zeros_f64({1});
    exact.data<double>()[0] = ref_backend().sum_squares(x) * 1e-14 * 0x1.0p24;
    return std::vector<Tensor>{exact};
  };
}

Case adamw_case(const AdamWCase& c) {
  return {
      .kernel = "adamw", .name = c.name(), .flops = 14.0 * double(c.shape.elements()), .build = [c](CallBuilder& b) {
        build_adamw(c, b);
      }};
}

struct Kernel {
  const char* name;
  double flops, ulps;
  void (*build)(const Shape&, CallBuilder&);
};
constexpr Kernel kAddInto{"add_into", 1, 1, build_add_into}, kScale{"scale", 1, 2, build_scale},
    kSumSquares{"sum_squares", 2, 1, build_sum_squares};

Case shaped_case(const Kernel& kernel, const Shape& shape) {
  return {.kernel = kernel.name,
          .name = shape.to_string(),
          .flops = kernel.flops * double(shape.elements()),
          .ulps = kernel.ulps,
          .build = [shape, kernel](CallBuilder& b) { kernel.build(shape, b); }};
}

}  // namespace

std::vector<Case> elementwise_cases() {
  std::vector<Case> cases;
  for (const AdamWCase& c : kAdamWCases) cases.push_back(adamw_case(c));
  for (const AdamWRowsCase& c : kAdamWRowsCases)
    cases.push_back({.kernel = "adamw_rows",
                     .name = c.name(),
                     .flops = 14.0 * double(c.R * c.H * c.steps),
                     .build = [c](CallBuilder& b) { build_adamw_rows(c, b); }});
  for (const Kernel& kernel : {kAddInto, kScale, kSumSquares})
    for (const Shape& shape : kElementwiseShapes) cases.push_back(shaped_case(kernel, shape));
  return cases;
}

/// They run again on their own results, many times: arguments that keep these from sinking to 0 or below f32's normal
/// numbers, which are slow.
std::vector<Case> elementwise_timing_cases() {
  constexpr Kernel kNegate{"scale", 1, 2, [](const Shape& shape, CallBuilder& b) { build_scale_by(-1, shape, b); }};
  std::vector<Case> cases;
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{30522, 128}, {3072, 768}, {1, 768}}) {
    const Shape shape = {rows, columns};
    cases.push_back(adamw_case({shape, 10, 0, 1, 0.999, false}));
    for (const Kernel& kernel : {kAddInto, kNegate, kSumSquares}) cases.push_back(shaped_case(kernel, shape));
    for (size_t i = cases.size() - 4; i < cases.size(); ++i) cases[i].name = fmt::format("{}x{}", rows, columns);
  }
  return cases;
}

}  // namespace cloze::test
