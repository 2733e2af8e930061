#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cases.h"

namespace cloze::test {
namespace {

enum class Ignored : uint8_t { kNone, kSome, kAll };

struct CrossEntropyCase {
  int64_t R, C;
  double smoothing = 0;
  bool weights = false;
  Ignored ignored = Ignored::kSome;
  bool gradient = true;
  double offset = 0, sigma = 2;  ///< of the logits
  bool row_weights = false;

  std::string name() const {
    return fmt::format("R{}_C{}_smooth{}{}_ignored{}{}_{}", R, C, smoothing,
                       weights       ? "_weights"
                       : row_weights ? "_rows"
                                     : "",
                       static_cast<int>(ignored), gradient ? "_dlogits" : "", offset);
  }
};

const CrossEntropyCase kCrossEntropyCases[] = {
    {0, 5},
    {1, 1, 0, false, Ignored::kNone},
    {1, 2, 0.1, true, Ignored::kNone},
    {7, 13},
    {7, 13, 0.1},
    {7, 13, 0, true},
    {7, 13, 0.1, true},
    {7, 13, 1, true},
    {7, 13, 0.1, true, Ignored::kAll},
    {7, 13, 0.1, true, Ignored::kNone, false},
    {7, 13, 0, false, Ignored::kSome, false},
    {33, 3, 0.2, true},
    {127, 2, 0, false, Ignored::kNone},
    {65, 127, 0.05, false},
    {64, 33, 0, true, Ignored::kNone},
    {500, 192, 0.1, false, Ignored::kSome},
    {9, 30522, 0},
    {3, 30522, 0.1, false, Ignored::kNone},
    {5, 17, 0.1, false, Ignored::kNone, true, 1000, 30},  // beyond exp's range in f32
    {5, 17, 0, false, Ignored::kNone, true, -300, 2},
    {7, 13, 0.1, false, Ignored::kSome, true, 0, 2, true},
    {31, 2, 0, false, Ignored::kNone, true, 0, 2, true},
    {9, 5, 0.2, true, Ignored::kSome, true, 0, 3, true},
    {1, 20000, 0, false, Ignored::kNone},
    {7, 20000},
    {7, 20000, 0, false, Ignored::kSome, false},
    {3, 20000, 0.1, true},
    {7, 2, 0, false, Ignored::kSome, true, 0, 1e4},  // most probabilities are 0
    {7, 3, 0.1, true, Ignored::kSome, true, 0, 1e4},
    {1, 17, 0, false, Ignored::kNone, true, -1e4, 3e3},
    {7, 517, 0, false, Ignored::kSome, true, 1e4, 50},  // over several blocks of sums
};

struct CrossEntropyInputs {
  Tensor logits, targets, weights, row_weights;
};

CrossEntropyInputs random_cross_entropy(const CrossEntropyCase& c, CallBuilder& b) {
  const Tensor logits = b.normal({c.R, c.C}, c.sigma, c.offset), targets = b.integers({c.R}, 0, c.C);
  const Tensor weights = c.weights ? absolute(b.normal({c.C}, 0.5, 1)) : Tensor();
  for (int64_t r = 0; r < c.R; ++r)
    if (c.ignored == Ignored::kAll || (c.ignored == Ignored::kSome && r % 3 == 1)) targets.data<int32_t>()[r] = -1;
  if (c.weights && c.C > 2) weights.data<double>()[1] = 0;  // a class that does not count
  const Tensor row_weights = c.row_weights ? absolute(b.normal({c.R}, 0.5, 1)) : Tensor();
  if (c.row_weights) row_weights.data<double>()[0] = 0;  // a row that does not count
  return {logits, targets, weights, row_weights};
}

/// What softmax's numerator is made of: max, sum of exp(x - max), and how wrong log p may be, in roundings.
struct Row {
  const double* x;
  double max, sum = 0, mean_distance = 0;
  Row(const double* row, int64_t C) : x(row), max(*std::max_element(row, row + C)) {
    for (int64_t c = 0; c < C; ++c) sum += std::exp(x[c] - max);
    for (int64_t c = 0; c < C; ++c) mean_distance += p(c) * (max - x[c]);
  }
  double p(int64_t c) const { return std::exp(x[c] - max) / sum; }
  /// Roundings of p(c), relative.
  double error(int64_t c) const { return 2 + (max - x[c]) + mean_distance; }
};

std::vector<Tensor> cross_entropy_magnitudes(const CrossEntropyCase& c, const CrossEntropyInputs& in) {
  const auto weight = [&](int64_t k) { return c.weights ? in.weights.data<double>()[k] : 1.0; };
  const auto of_row = [&](int64_t r) { return c.row_weights ? in.row_weights.data<double>()[r] : 1.0; };
  const Tensor loss = zeros_f64({1}), dlogits = zeros_f64({c.R, c.C});
  double total = 0, all = 0;
  for (int64_t r = 0; r < c.R; ++r)
    if (const int32_t target = in.targets.data<int32_t>()[r]; target >= 0) total += of_row(r) * weight(target);
  for (int64_t k = 0; k < c.C; ++k) all += weight(k);
  const double even = c.smoothing / static_cast<double>(c.C);
  for (int64_t r = 0; r < c.R && total > 0; ++r) {
    const int32_t target = in.targets.data<int32_t>()[r];
    if (target < 0) continue;
    const Row row(in.logits.data<double>() + r * c.C, c.C);
    const double sharp = of_row(r) * (1 - c.smoothing) * weight(target), smooth = of_row(r) * even;
    const auto logp_error = [&](int64_t k) { return row.error(k) + std::log(row.sum); };
    loss.data<double>()[0] += sharp * logp_error(target) / total;
    for (int64_t k = 0; k < c.C; ++k) {
      loss.data<double>()[0] += smooth * weight(k) * logp_error(k) / total;
      const double p = row.p(k) * row.error(k);
      dlogits.data<double>()[r * c.C + k] =
          (sharp * (p + (k == target ? 1 : 0)) + smooth * (p * all + weight(k))) / total;
    }
  }
  if (c.gradient) return {loss, dlogits};
  return {loss};
}

void build_cross_entropy(const CrossEntropyCase& c, CallBuilder& b) {
  const CrossEntropyInputs in = random_cross_entropy(c, b);
  const CrossEntropyArgs args{.logits = b.input(in.logits),
                              .targets = b.input(in.targets),
                              .class_weight = b.input(in.weights),
                              .row_weight = b.input(in.row_weights),
                              .label_smoothing = c.smoothing,
                              .loss = b.output("loss", {1}),
                              .dlogits = c.gradient ? b.output("dlogits", {c.R, c.C}) : Tensor()};
  b.call.run = [=](const Backend& backend) { backend.cross_entropy(args); };
  b.call.magnitudes = [=] { return cross_entropy_magnitudes(c, in); };
  if (!c.gradient) return;
  b.call.forward = [=] {
    const Tensor loss = zeros_f64({1});
    ref_backend().cross_entropy({.logits = in.logits,
                                 .targets = in.targets,
                                 .class_weight = in.weights,
                                 .row_weight = in.row_weights,
                                 .label_smoothing = c.smoothing,
                                 .loss = loss,
                                 .dlogits = {}});
    return loss;
  };
  b.call.dy = Tensor::full({1}, DType::kF64, 1);
  b.call.gradients = {{in.logits, args.dlogits}};
}

struct SoftmaxCase {
  int64_t R, C;
  double offset = 0, sigma = 2;
  std::string name() const { return fmt::format("R{}_C{}_{}_{}", R, C, offset, sigma); }
};
constexpr SoftmaxCase kSoftmaxCases[] = {
    {0, 5},    {3, 0},   {1, 1},    {5, 1},   {7, 13},    {13, 7},           {33, 65},
    {65, 127}, {127, 2}, {64, 192}, {3, 768}, {2, 30522}, {9, 33, 1000, 30}, {9, 33, -3e4, 100},
};

void build_softmax(const SoftmaxCase& c, CallBuilder& b) {
  const Tensor x = b.normal({c.R, c.C}, c.sigma, c.offset);
  const SoftmaxArgs args{.x = b.input(x), .y = b.output("y", {c.R, c.C})};
  b.call.run = [=](const Backend& backend) { backend.softmax(args); };
  b.call.magnitudes = [=] {
    const Tensor y = zeros_f64({c.R, c.C});
    for (int64_t r = 0; r < c.R && c.C > 0; ++r) {
      const Row row(x.data<double>() + r * c.C, c.C);
      for (int64_t k = 0; k < c.C; ++k) y.data<double>()[r * c.C + k] = row.p(k) * row.error(k);
    }
    return std::vector<Tensor>{y};
  };
}

Case cross_entropy_case(const CrossEntropyCase& c) {
  return {.kernel = "cross_entropy",
          .name = c.name(),
          .flops = 5.0 * double(c.R) * double(c.C),
          .build = [c](CallBuilder& b) { build_cross_entropy(c, b); }};
}
Case softmax_case(const SoftmaxCase& c) {
  return {
      .kernel = "softmax", .name = c.name(), .flops = 3.0 * double(c.R) * double(c.C), .build = [c](CallBuilder& b) {
        build_softmax(c, b);
      }};
}

}  // namespace

std::vector<Case> loss_cases() {
  std::vector<Case> cases;
  for (const CrossEntropyCase& c : kCrossEntropyCases) cases.push_back(cross_entropy_case(c));
  for (const SoftmaxCase& c : kSoftmaxCases) cases.push_back(softmax_case(c));
  return cases;
}

std::vector<Case> loss_timing_cases() {
  std::vector<Case> cases;
  for (const auto& [R, C] : {std::pair<int64_t, int64_t>{160, 30522}, {32, 2}}) {
    cases.push_back(cross_entropy_case({R, C, 0, false, Ignored::kNone}));
    cases.push_back(softmax_case({R, C}));
    for (size_t i = cases.size() - 2; i < cases.size(); ++i) cases[i].name = fmt::format("{}x{}", R, C);
  }
  return cases;
}

}  // namespace cloze::test
