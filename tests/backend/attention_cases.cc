#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cases.h"
#include "cloze/backend/random16.h"

namespace cloze::test {
namespace {

struct AttentionCase {
  std::vector<int64_t> lengths;
  int64_t N, D;
  Dropout dropout = {};
  bool lse = true;
  double sharpness = 1;  ///< times 1 / sqrt(D)
  std::string label = {};
  std::vector<int64_t> queries = {};  ///< of each sequence; empty: every token asks

  const std::vector<int64_t>& asking() const { return queries.empty() ? lengths : queries; }
  int64_t Q() const { return std::reduce(asking().begin(), asking().end()); }
  int64_t T() const { return std::reduce(lengths.begin(), lengths.end()); }
  int64_t H() const { return N * D; }
  double scale() const { return sharpness / std::sqrt(static_cast<double>(D)); }
  /// Multiplications and additions of one product of the size of q k^T.
  double product_flops() const {
    double squares = 0;
    for (size_t b = 0; b < lengths.size(); ++b) squares += double(lengths[b]) * double(asking()[b]);
    return 2 * squares * double(H());
  }
  std::string name() const {
    const std::string which = label.empty() ? fmt::format("S{}", fmt::join(lengths, ",")) : label;
    return fmt::format("{}{}_N{}_D{}_drop{}_sharp{}{}", which,
                       queries.empty() ? "" : fmt::format("_Q{}", fmt::join(queries, ",")), N, D, dropout.threshold,
                       sharpness, lse ? "_lse" : "");
  }
};

constexpr Dropout kAttentionDrop{.threshold = 6554, .site = 3, .key = 42};
constexpr Dropout kAttentionDropHalf{.threshold = 32768, .site = 0xFFFFFFFF, .key = 0xFEDCBA9876543210};
constexpr Dropout kAttentionDropMost{.threshold = 58982, .site = 17, .key = 7};

struct AttentionInputs {
  Tensor q, k, v, offsets, query_offsets;
};

/// Calls work(query row, key row, head, key's place in its sequence) for every pair that attends, with indices of rows.
template <class Work>
void for_pairs(const AttentionCase& c, Work work) {
  int64_t begin = 0, first = 0;
  for (size_t b = 0; b < c.lengths.size(); ++b) {
    const int64_t length = c.lengths[b], asking = c.asking()[b];
    for (int64_t n = 0; n < c.N; ++n)
      for (int64_t i = first; i < first + asking; ++i)
        for (int64_t j = begin; j < begin + length; ++j) work(i, j, n, j - begin);
    begin += length;
    first += asking;
  }
}

double dot_columns(const AttentionCase& c, const Tensor& a, int64_t i, const Tensor& b, int64_t j, int64_t n) {
  const double *x = a.data<double>() + i * c.H() + n * c.D, *y = b.data<double>() + j * c.H() + n * c.D;
  return std::inner_product(x, x + c.D, y, 0.0);
}

/// By how much a probability may be off, in roundings: kappa[Q,N] = 2 + 2 max_j scale sum_d |q_d k_jd|, since the error
/// of a score is the relative error of its exponential.
Tensor probability_errors(const AttentionCase& c, const AttentionInputs& in) {
  const Tensor q = absolute(in.q), k = absolute(in.k), kappa = Tensor::full({c.Q(), c.N}, DType::kF64, 2);
  for_pairs(c, [&](int64_t i, int64_t j, int64_t n, int64_t) {
    double& worst = kappa.data<double>()[i * c.N + n];
    worst = std::max(worst, 2 + 2 * c.scale() * dot_columns(c, q, i, k, j, n));
  });
  return kappa;
}

AttentionArgs attention_exact_forward(const AttentionCase& c, const AttentionInputs& in) {
  const AttentionArgs args{.q = in.q,
                           .k = in.k,
                           .v = in.v,
                           .offsets = in.offsets,
                           .query_offsets = in.query_offsets,
                           .heads = c.N,
                           .scale = c.scale(),
                           .dropout = c.dropout,
                           .y = zeros_f64({c.Q(), c.H()}),
                           .lse = zeros_f64({c.Q(), c.N})};
  ref_backend().attention(args);
  return args;
}

AttentionInputs random_attention(const AttentionCase& c, CallBuilder& b) {
  const Shape shape = {c.T(), c.H()};
  return {b.normal({c.Q(), c.H()}), b.normal(shape), b.normal(shape), offsets_of(c.lengths),
          c.queries.empty() ? Tensor() : offsets_of(c.queries)};
}

void build_attention(const AttentionCase& c, CallBuilder& b) {
  const AttentionInputs in = random_attention(c, b);
  const AttentionArgs args{.q = b.input(in.q),
                           .k = b.input(in.k),
                           .v = b.input(in.v),
                           .offsets = b.input(in.offsets),
                           .query_offsets = b.input(in.query_offsets),
                           .heads = c.N,
                           .scale = c.scale(),
                           .dropout = c.dropout,
                           .y = b.output("y", {c.Q(), c.H()}),
                           .lse = c.lse ? b.output("lse", {c.Q(), c.N}) : Tensor()};
  b.call.run = [=](const Backend& backend) { backend.attention(args); };
  b.call.magnitudes = [=] {  // y: kappa sum_j m p_j |v_j|;  lse: kappa + |lse|
    const Tensor kappa = probability_errors(c, in);
    const AttentionArgs exact = attention_exact_forward(c, {in.q, in.k, absolute(in.v), in.offsets, in.query_offsets});
    const auto kappa_of = [&](int64_t i) { return kappa.data<double>()[i / c.D]; };
    std::vector<Tensor> magnitudes = {mapped(exact.y, [&](double y, int64_t i) { return y * kappa_of(i); })};
    if (c.lse)
      magnitudes.push_back(
          mapped(exact.lse, [&](double lse, int64_t i) { return kappa.data<double>()[i] + std::abs(lse); }));
    return magnitudes;
  };
}

/// The formulas of the backward pass with every term's absolute value: dp <= m |dy||v|, D <= |dy||y|,
/// ds <= kappa p (dp + D), and p itself wrong by kappa = 2 + |lse| + 2 max scale |q||k|.
std::vector<Tensor> attention_backward_magnitudes(const AttentionCase& c, const AttentionInputs& in,
                                                  const AttentionArgs& exact, const Tensor& dy) {
  const Tensor q = absolute(in.q), k = absolute(in.k), v = absolute(in.v), abs_dy = absolute(dy), y = absolute(exact.y);
  const Tensor kappa = probability_errors(c, in);
  const std::vector<Tensor> out = {zeros_f64(q.shape()), zeros_f64(k.shape()), zeros_f64(k.shape())};
  const auto add = [&](double factor, const Tensor& x, int64_t from, const Tensor& sum, int64_t to, int64_t n) {
    for (int64_t d = n * c.D; d < (n + 1) * c.D; ++d)
      sum.data<double>()[to * c.H() + d] += factor * x.data<double>()[from * c.H() + d];
  };
  Random16 random(c.dropout);
  for_pairs(c, [&](int64_t i, int64_t j, int64_t n, int64_t place) {
    const int64_t at = i * c.N + n;
    const double lse = exact.lse.data<double>()[at], m = c.dropout.active() ? random.factor(at * 65536 + place) : 1;
    const double p = std::exp(c.scale() * dot_columns(c, in.q, i, in.k, j, n) - lse);
    const double wrong = p * (kappa.data<double>()[at] + std::abs(lse));
    const double ds = wrong * (m * dot_columns(c, abs_dy, i, v, j, n) + dot_columns(c, abs_dy, i, y, i, n));
    add(c.scale() * ds, k, j, out[0], i, n);
    add(c.scale() * ds, q, i, out[1], j, n);
    add(m * wrong, abs_dy, i, out[2], j, n);
  });
  return out;
}

void build_attention_backward(const AttentionCase& c, CallBuilder& b) {
  const AttentionInputs in = random_attention(c, b);
  const Tensor dy = b.normal({c.Q(), c.H()});
  const AttentionArgs exact = attention_exact_forward(c, in);
  const AttentionBackwardArgs args{.q = b.input(in.q),
                                   .k = b.input(in.k),
                                   .v = b.input(in.v),
                                   .offsets = b.input(in.offsets),
                                   .query_offsets = b.input(in.query_offsets),
                                   .y = b.saved(exact.y),
                                   .lse = b.saved(exact.lse),
                                   .dy = b.input(dy),
                                   .heads = c.N,
                                   .scale = c.scale(),
                                   .dropout = c.dropout,
                                   .dq = b.output("dq", {c.Q(), c.H()}),
                                   .dk = b.output("dk", {c.T(), c.H()}),
                                   .dv = b.output("dv", {c.T(), c.H()})};
  b.call.run = [=](const Backend& backend) { backend.attention_backward(args); };
  b.call.magnitudes = [=] { return attention_backward_magnitudes(c, in, exact, dy); };
  b.call.forward = [=] { return attention_exact_forward(c, in).y; };
  b.call.dy = dy;
  b.call.gradients = {{in.q, args.dq.of}, {in.k, args.dk.of}, {in.v, args.dv.of}};
}

std::vector<AttentionCase> attention_shapes() {
  std::vector<AttentionCase> all = {
      {{}, 2, 8},
      {{0}, 2, 8},
      {{0, 0, 0}, 1, 3, kAttentionDrop},
      {{1}, 1, 1},
      {{1, 1, 1}, 3, 5, kAttentionDrop},
      {{2}, 1, 2},
      {{13}, 4, 32, kAttentionDropHalf},
      {{33, 7}, 3, 13},
      {{65, 1, 0, 127}, 2, 33, kAttentionDrop},
      {{128, 128}, 12, 64},
      {{31, 9, 17, 64}, 4, 64, kAttentionDropMost},
      {{0, 1, 2, 17, 64, 130, 512}, 2, 64},
      {{0, 1, 2, 17, 64, 130, 512}, 2, 48, kAttentionDrop},
      {{512, 130, 64, 17, 2, 1, 0}, 1, 80},
      {{64, 15, 16, 48}, 12, 32, kAttentionDrop, false},
      {{5, 0, 40}, 2, 16, {}, false},
      {{40, 12}, 2, 64, {}, true, 8},  // scores beyond exp's range in f32: the maximum must be subtracted
      {{40, 12}, 2, 64, kAttentionDrop, true, 40},
  };
  for (int64_t D = 1; D <= 32; ++D)
    all.push_back({{5, 0, 1, 17}, 2, D, D % 2 == 0 ? kAttentionDrop : Dropout{}, D % 3 != 0});
  for (const int64_t D : {48, 64, 80}) all.push_back({{5, 0, 1, 17}, 2, D, kAttentionDropHalf});
  // Some tokens ask, as the first ones in the last layer of a classifier.
  all.push_back({{5, 1, 40, 64}, 2, 32, kAttentionDrop, true, 1, {}, {1, 1, 1, 1}});
  all.push_back({{0, 130, 9, 70}, 3, 16, {}, false, 1, {}, {0, 7, 0, 20}});
  all.push_back({{9, 70, 3}, 2, 13, kAttentionDropHalf, true, 1, {}, {0, 75, 5}});
  // Element numbers of dropout beyond 2^32, and block numbers beyond 2^32.
  std::vector<int64_t> many(700);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int64_t>(i % 7);
  all.push_back({many, 32, 1, kAttentionDropHalf, true, 1, "700sequences"});
  all.push_back({std::vector<int64_t>(550, 2), 512, 1, kAttentionDrop, true, 1, "550sequences"});
  return all;
}

Case attention_forward_case(const AttentionCase& c) {
  return {.kernel = "attention", .name = c.name(), .flops = 2 * c.product_flops(), .build = [c](CallBuilder& b) {
            build_attention(c, b);
          }};
}
Case attention_backward_case(const AttentionCase& c) {
  return {
      .kernel = "attention_backward", .name = c.name(), .flops = 5 * c.product_flops(), .build = [c](CallBuilder& b) {
        build_attention_backward(c, b);
      }};
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> cases;
  for (const AttentionCase& c : attention_shapes()) cases.push_back(attention_forward_case(c));
  for (const AttentionCase& c : attention_shapes()) cases.push_back(attention_backward_case(c));
  return cases;
}

std::vector<Case> attention_timing_cases() {
  struct Row {
    const char* batch;
    std::vector<int64_t> lengths;
    int64_t N;
  };
  const std::vector<Row> rows = {
      {"8x128", std::vector<int64_t>(8, 128), 12},
      {"2x512", {512, 512}, 12},
      {"mixed", {7, 130, 21, 64, 300, 12}, 12},
      {"32x64", std::vector<int64_t>(32, 64), 4},
      {"32x64", std::vector<int64_t>(32, 64), 2},
      {"1x16", {16}, 12},
      {"1x16", {16}, 2},
  };
  static constexpr int64_t kWidth = 64;
  const auto named = [](Case one, const Row& row, const char* suffix) {
    one.name = fmt::format("{}_N{}_D{}{}", row.batch, row.N, kWidth, suffix);
    return one;
  };
  std::vector<Case> cases;
  for (const Row& row : rows)
    cases.push_back(named(attention_forward_case({row.lengths, row.N, kWidth, {}, false}), row, ""));
  for (const Row& row : rows)
    cases.push_back(named(attention_forward_case({row.lengths, row.N, kWidth, kAttentionDrop}), row, "_training"));
  for (const Row& row : rows)
    cases.push_back(named(attention_backward_case({row.lengths, row.N, kWidth, kAttentionDrop}), row, ""));
  return cases;
}

}  // namespace cloze::test
