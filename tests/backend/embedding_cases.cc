// embed, gather_rows and dropout: kernels that move rows or drop elements.
#include <fmt/format.h>

#include <cmath>

#include "cases.h"

namespace cloze::test {
namespace {

struct EmbedCase {
  int64_t T, V, P, H;
  bool dword = true, dposition = true, dsegment = true;
  std::string name() const {
    return fmt::format("T{}_V{}_P{}_H{}{}{}{}", T, V, P, H, dword ? "_dword" : "", dposition ? "_dposition" : "",
                       dsegment ? "_dsegment" : "");
  }
};
const EmbedCase kEmbedCases[] = {
    {0, 5, 4, 8},
    {1, 1, 1, 1},
    {3, 2, 2, 7},
    {7, 13, 5, 33},
    {65, 30, 512, 127},
    {64, 3000, 64, 192},
    {9, 50, 20, 768},
    {512, 9, 512, 64},
    {1000, 7, 3, 13},
    {7, 13, 5, 33, false, true, true},
    {7, 13, 5, 33, true, false, true},
    {7, 13, 5, 33, true, true, false},
    {7, 13, 5, 33, false, false, true},
};

struct Indices {
  Tensor ids, positions, segments;
};
Indices random_indices(const EmbedCase& c, CallBuilder& b) {
  return {b.integers({c.T}, 0, c.V), b.integers({c.T}, 0, c.P), b.integers({c.T}, 0, 2)};
}

void build_embed(const EmbedCase& c, CallBuilder& b) {
  const Indices at = random_indices(c, b);
  const Tensor word = b.normal({c.V, c.H}), position = b.normal({c.P, c.H}), segment = b.normal({2, c.H});
  const EmbedArgs args{.ids = b.input(at.ids),
                       .positions = b.input(at.positions),
                       .segments = b.input(at.segments),
                       .word = b.input(word),
                       .position = b.input(position),
                       .segment = b.input(segment),
                       .y = b.output("y", {c.T, c.H})};
  b.call.bytes = 2.0 * static_cast<double>(args.y.bytes());  // words read, y written; the small tables stay in cache
  b.call.run = [=](const Backend& backend) { backend.embed(args); };
  b.call.magnitudes = [=] {
    const Tensor y = zeros_f64({c.T, c.H});
    ref_backend().embed({at.ids, at.positions, at.segments, absolute(word), absolute(position), absolute(segment), y});
    return std::vector<Tensor>{y};
  };
}

void build_embed_backward(const EmbedCase& c, CallBuilder& b) {
  const Indices at = random_indices(c, b);
  const Tensor dy = b.normal({c.T, c.H});
  // "Adds to": what stands there before must count. Gradients alone are wanted where they are checked.
  const double before = b.setting().saved == Saved::kExact ? 0 : 1;
  const Tensor dword = c.dword ? b.normal({c.V, c.H}, before) : Tensor();
  const Tensor dposition = c.dposition ? b.normal({c.P, c.H}, before) : Tensor();
  const Tensor dsegment = c.dsegment ? b.normal({2, c.H}, before) : Tensor();
  const EmbedBackwardArgs args{.ids = b.input(at.ids),
                               .positions = b.input(at.positions),
                               .segments = b.input(at.segments),
                               .dy = b.input(dy),
                               .dword = c.dword ? b.in_place("dword", dword) : Tensor(),
                               .dposition = c.dposition ? b.in_place("dposition", dposition) : Tensor(),
                               .dsegment = c.dsegment ? b.in_place("dsegment", dsegment) : Tensor()};
  b.call.bytes = 3.0 * static_cast<double>(args.dy.bytes());  // dy read, words' rows read and written
  b.call.run = [=](const Backend& backend) { backend.embed_backward(args); };
  b.call.magnitudes = [=] {
    const Tensor word = absolute(dword), position = absolute(dposition), segment = absolute(dsegment);
    ref_backend().embed_backward({at.ids, at.positions, at.segments, absolute(dy), word, position, segment});
    std::vector<Tensor> magnitudes;
    for (const Tensor& sum : {word, position, segment})
      if (sum.defined()) magnitudes.push_back(sum);
    return magnitudes;
  };
  const Tensor word = b.normal({c.V, c.H}), position = b.normal({c.P, c.H}), segment = b.normal({2, c.H});
  b.call.forward = [=] {
    const Tensor y = zeros_f64({c.T, c.H});
    ref_backend().embed({at.ids, at.positions, at.segments, word, position, segment, y});
    return y;
  };
  b.call.dy = dy;
  b.call.gradients = {{word, args.dword}, {position, args.dposition}, {segment, args.dsegment}};
}

struct GatherCase {
  int64_t T, R, H;
  std::string name() const { return fmt::format("T{}_R{}_H{}", T, R, H); }
};
constexpr GatherCase kGatherCases[] = {{0, 0, 8},    {5, 0, 7},     {1, 1, 1},    {1, 3, 5},      {7, 13, 33},
                                       {65, 9, 127}, {127, 33, 65}, {64, 8, 768}, {512, 77, 192}, {3, 1000, 13}};

/// Exact in every precision.
void build_gather(const GatherCase& c, CallBuilder& b) {
  const GatherRowsArgs args{.x = b.input(b.normal({c.T, c.H})),
                            .rows = b.input(c.R > 0 ? b.integers({c.R}, 0, c.T) : b.integers({0}, 0, 1)),
                            .y = b.output("y", {c.R, c.H})};
  b.call.bytes = 2.0 * static_cast<double>(args.y.bytes());
  b.call.run = [=](const Backend& backend) { backend.gather_rows(args); };
  b.call.magnitudes = [=] { return std::vector<Tensor>{zeros_f64({c.R, c.H})}; };
}

void build_gather_backward(const GatherCase& c, CallBuilder& b) {
  const Tensor rows = c.R > 0 ? b.integers({c.R}, 0, c.T) : b.integers({0}, 0, 1);
  const Tensor dy = b.normal({c.R, c.H}), x = b.normal({c.T, c.H});
  const GatherRowsBackwardArgs args{.rows = b.input(rows), .dy = b.input(dy), .dx = b.output("dx", {c.T, c.H})};
  b.call.run = [=](const Backend& backend) { backend.gather_rows_backward(args); };
  b.call.magnitudes = [=] {
    const Tensor dx = zeros_f64({c.T, c.H});
    ref_backend().gather_rows_backward({.rows = rows, .dy = absolute(dy), .dx = dx});
    return std::vector<Tensor>{dx};
  };
  b.call.forward = [=] {
    const Tensor y = zeros_f64({c.R, c.H});
    ref_backend().gather_rows({.x = x, .rows = rows, .y = y});
    return y;
  };
  b.call.dy = dy;
  b.call.gradients = {{x, args.dx}};
}

struct DropoutCase {
  Shape shape;
  Dropout dropout;
  std::string name() const { return fmt::format("{}_drop{}_site{}", shape, dropout.threshold, dropout.site); }
};
const DropoutCase kDropoutCases[] = {
    {{0}, {.threshold = 6554, .site = 1, .key = 1}},
    {{1}, {.threshold = 32768, .site = 1, .key = 2}},
    {{7}, {.threshold = 32768, .site = 1, .key = 3}},
    {{13, 33}, {}},
    {{13, 33}, {.threshold = 6554, .site = 1, .key = 4}},
    {{65, 127}, {.threshold = 32768, .site = 0, .key = 5}},
    {{65, 127}, {.threshold = 32768, .site = 1, .key = 5}},
    {{33, 7, 3, 2}, {.threshold = 1, .site = 0xFFFFFFFF, .key = 0xFFFFFFFFFFFFFFFF}},
    {{64, 192}, {.threshold = 65535, .site = 2, .key = 1ull << 63}},
    {{129, 768}, {.threshold = 6554, .site = 70, .key = 0x123456789ABCDEF0}},
    {{2, 3072}, {.threshold = 13107, .site = 3, .key = 6}},
};

/// Dropped elements have magnitude 0: they must be dropped everywhere, and no others.
void build_dropout(const DropoutCase& c, CallBuilder& b) {
  const Tensor x = b.normal(c.shape);
  const DropoutArgs args{.x = b.input(x), .dropout = c.dropout, .y = b.output("y", c.shape)};
  b.call.run = [=](const Backend& backend) { backend.dropout(args); };
  const auto exact = [=] {
    const Tensor y = zeros_f64(c.shape);
    ref_backend().dropout({.x = x, .dropout = c.dropout, .y = y});
    return y;
  };
  b.call.magnitudes = [=] { return std::vector<Tensor>{absolute(exact())}; };
}

void build_dropout_backward(const DropoutCase& c, CallBuilder& b) {
  build_dropout(c, b);  // its x is the gradient now
  const Tensor x = b.normal(c.shape), dy = to_float(b.call.inputs[0], DType::kF64);
  b.call.forward = [=] {
    const Tensor y = zeros_f64(c.shape);
    ref_backend().dropout({.x = x, .dropout = c.dropout, .y = y});
    return y;
  };
  b.call.dy = dy;
  b.call.gradients = {{x, b.call.outputs[0].value}};
}

template <class Row, size_t n>
void add_rows(std::vector<Case>& cases, const char* kernel, double flops, double ulps, const Row (&table)[n],
              void (*build)(const Row&, CallBuilder&)) {
  for (const Row& c : table) {
    int64_t elements = 0;
    if constexpr (requires { c.shape; })
      elements = c.shape.elements();
    else
      elements = c.T * c.H;
    cases.push_back({.kernel = kernel,
                     .name = c.name(),
                     .flops = flops * static_cast<double>(elements),
                     .ulps = ulps,
                     .build = [c, build](CallBuilder& b) { build(c, b); }});
  }
}

}  // namespace

std::vector<Case> embedding_cases() {
  std::vector<Case> cases;
  add_rows(cases, "embed", 2, 2, kEmbedCases, build_embed);
  add_rows(cases, "embed_backward", 3, 4, kEmbedCases, build_embed_backward);
  add_rows(cases, "gather_rows", 0, 0, kGatherCases, build_gather);
  add_rows(cases, "gather_rows_backward", 1, 4, kGatherCases, build_gather_backward);
  add_rows(cases, "dropout", 1, 2, kDropoutCases, build_dropout);
  add_rows(cases, "dropout_backward", 1, 2, kDropoutCases, build_dropout_backward);
  return cases;
}

std::vector<Case> embedding_timing_cases() {
  static const EmbedCase kEmbed[] = {{1024, 30522, 512, 768}, {2048, 30522, 512, 128}, {16, 30522, 512, 768}};
  static const GatherCase kGather[] = {{1024, 8, 768}, {1024, 160, 768}};
  static const DropoutCase kDropout[] = {{{1024, 768}, {.threshold = 6554, .site = 1, .key = 4}},
                                         {{8, 768}, {.threshold = 6554, .site = 1, .key = 4}}};
  std::vector<Case> cases;
  add_rows(cases, "embed", 2, 2, kEmbed, build_embed);
  add_rows(cases, "embed_backward", 3, 4, kEmbed, build_embed_backward);
  add_rows(cases, "gather_rows", 0, 0, kGather, build_gather);
  add_rows(cases, "gather_rows_backward", 1, 4, kGather, build_gather_backward);
  add_rows(cases, "dropout", 1, 2, kDropout, build_dropout);
  for (size_t i = 0; i < 3; ++i)
    cases[i].name = cases[i + 3].name = fmt::format("{}x{}_V{}", kEmbed[i].T, kEmbed[i].H, kEmbed[i].V);
  for (size_t i = 0; i < 2; ++i) {
    cases[i + 6].name = cases[i + 8].name = fmt::format("{}x{}_R{}", kGather[i].T, kGather[i].H, kGather[i].R);
    cases[i + 10].name = fmt::format("{}x{}", kDropout[i].shape[0], kDropout[i].shape[1]);
  }
  return cases;
}

}  // namespace cloze::test
