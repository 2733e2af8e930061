// Values computed by PyTorch 1.13 in f64 for tiny inputs: what ref itself is measured by.
#include <gtest/gtest.h>

#include <cmath>

#include "cases.h"

namespace cloze::test {
namespace {

/// Both precisions: ref in f64 to its last digits, cpu in f32.
struct Where {
  const Backend& backend;
  DType dtype;
  double tolerance;

  Tensor of(const Shape& shape, const std::vector<double>& values) const {
    return to_float(Tensor::of(shape, values), dtype);
  }
  Tensor empty(const Shape& shape) const { return Tensor::full(shape, dtype, NAN); }
};

template <class Check>
void everywhere(Check check) {
  for (const Where& where : {Where{ref_backend(), DType::kF64, 1e-14}, Where{ref_backend(), DType::kF32, 1e-6},
                             Where{cpu_backend(), DType::kF32, 1e-6}}) {
    SCOPED_TRACE(std::string(where.backend.name()) + " " + dtype_name(where.dtype));
    check(where);
  }
}

void expect_values(const Where& where, const Tensor& got, const std::vector<double>& expected) {
  const Tensor values = to_float(got, DType::kF64);
  ASSERT_EQ(values.elements(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(values.data<double>()[i], expected[i], where.tolerance * std::max(1.0, std::abs(expected[i])))
        << "element " << i;
}

Tensor ints(const std::vector<int32_t>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

TEST(Literal, Softmax) {
  everywhere([](const Where& on) {
    const Tensor y = on.empty({2, 3});
    on.backend.softmax({.x = on.of({2, 3}, {1, 2, 3, -1, 0, 0.5}), .y = y});
    expect_values(on, y,
                  {0.09003057317038045, 0.2447284710547976, 0.6652409557748218, 0.12195165230972885, 0.3314989604240915,
                   0.5465493872661796});
  });
}

struct CrossEntropyLiteral {
  const char* name;
  std::vector<double> weights;
  double smoothing;
  int32_t second_target;
  double loss;
  std::vector<double> dlogits;
};
const CrossEntropyLiteral kCrossEntropies[] = {
    {"plain",
     {},
     0,
     0,
     1.2558682848905545,
     {0.04501528658519022, 0.12236423552739882, -0.1673795221125891, -0.4390241738451356, 0.16574948021204575,
      0.2732746936330898}},
    {"smoothing",
     {},
     0.1,
     0,
     1.264201618223888,
     {0.02834861991852355, 0.10569756886073216, -0.13404618877925578, -0.40569084051180226, 0.14908281354537908,
      0.25660802696642315}},
    {"weights",
     {0.5, 2, 1.5},
     0,
     0,
     0.8317371246674674,
     {0.06752292987778533, 0.18354635329109822, -0.25106928316888366, -0.2195120869225678, 0.08287474010602287,
      0.1366373468165449}},
    {"weights and smoothing",
     {0.5, 2, 1.5},
     0.1,
     0,
     0.8951791835194612,
     {0.05843934176803216, 0.14817361603230825, -0.20661295780034056, -0.1977641014096624, 0.06335386345702669,
      0.13441023795263574}},
    {"one ignored",
     {0.5, 2, 1.5},
     0.1,
     -1,
     0.469743675950554,
     {0.0779191223573762, 0.197564821376411, -0.2754839437337873, 0, 0, 0}},
    {"all ignored", {}, 0, -2, 0, {0, 0, 0, 0, 0, 0}},  // PyTorch says NaN; backend.h says 0
};

TEST(Literal, CrossEntropy) {
  everywhere([](const Where& on) {
    for (const CrossEntropyLiteral& c : kCrossEntropies) {
      SCOPED_TRACE(c.name);
      const Tensor loss = on.empty({1}), dlogits = on.empty({2, 3});
      on.backend.cross_entropy({.logits = on.of({2, 3}, {1, 2, 3, -1, 0, 0.5}),
                                .targets = c.second_target == -2 ? ints({-1, -1}) : ints({2, c.second_target}),
                                .class_weight = c.weights.empty() ? Tensor() : on.of({3}, c.weights),
                                .row_weight = {},
                                .label_smoothing = c.smoothing,
                                .loss = loss,
                                .dlogits = dlogits});
      expect_values(on, loss, {c.loss});
      expect_values(on, dlogits, c.dlogits);
    }
  });
}

TEST(Literal, LayerNorm) {
  everywhere([](const Where& on) {
    const Tensor gamma = on.of({4}, {1, 0.5, 2, -1}), sum = on.empty({1, 4}), mean = on.empty({1}),
                 rstd = on.empty({1}), y = on.empty({1, 4});
    on.backend.add_layer_norm({.x = on.of({1, 4}, {1, -2, 4, 0.5}),
                               .residual = on.of({1, 4}, {0.5, 0.25, -1, 2}),
                               .gamma = gamma,
                               .beta = on.of({4}, {0, 0.1, -0.2, 0.3}),
                               .dropout = {},
                               .eps = 1e-5,
                               .sum = sum,
                               .mean = mean,
                               .rstd = rstd,
                               .y = y});
    expect_values(on, sum, {1.5, -1.75, 3, 2.5});
    expect_values(on, mean, {1.3125});
    expect_values(on, rstd, {0.5408979317704263});
    expect_values(on, y, {0.10141836220695488, -0.7282499580234654, 1.6255305197251888, -0.3423162939773812});
    const Tensor dx = on.empty({1, 4}), dresidual = on.empty({1, 4}), dgamma = on.empty({4}), dbeta = on.empty({4});
    on.backend.add_layer_norm_backward({.sum = sum,
                                        .mean = mean,
                                        .rstd = rstd,
                                        .gamma = gamma,
                                        .dy = on.of({1, 4}, {1, 2, -1, 0.5}),
                                        .dropout = {},
                                        .dx = dx,
                                        .dresidual = dresidual,
                                        .dgamma = dgamma,
                                        .dbeta = dbeta});
    for (const Tensor& gradient : {dx, dresidual})
      expect_values(on, gradient, {0.6592771591653437, -0.22068393017730004, -0.5572807487570228, 0.11868751976897918});
    expect_values(on, dgamma, {0.10141836220695488, -3.3129998320938614, -0.9127652598625944, 0.3211581469886906});
    expect_values(on, dbeta, {1, 2, -1, 0.5});
  });
}

struct ActivationLiteral {
  Activation activation;
  std::vector<double> y, slopes;
};
const std::vector<double> kPoints = {-3, -1, -0.1, 0, 0.5, 2};
const ActivationLiteral kActivationLiterals[] = {
    {Activation::kNone, {-3, -1, -0.1, 0, 0.5, 2}, {1, 1, 1, 1, 1, 1}},
    {Activation::kGelu,
     {-0.00404969409489031, -0.15865525393145702, -0.0460172162722971, 0, 0.34573123063700656, 1.9544997361036416},
     {-0.01194564720418392, -0.08331547058768635, 0.4204769079752698, 0.5, 0.8674951246561629, 1.085231801078197}},
    {Activation::kGeluTanh,
     {-0.0036373920817729943, -0.1588080093917233, -0.04601724895456484, 0, 0.34571400982514394, 1.954597694087775},
     {-0.011584166630969651, -0.08296408384578258, 0.4204782107282433, 0.5, 0.8673699035346424, 1.0860992566236183}},
    {Activation::kRelu, {0, 0, 0, 0, 0.5, 2}, {0, 0, 0, 0, 1, 1}},
    {Activation::kTanh,
     {-0.9950547536867305, -0.7615941559557649, -0.09966799462495582, 0, 0.46211715726000974, 0.9640275800758169},
     {0.009866037165440166, 0.41997434161402614, 0.9900662908474398, 1, 0.7864477329659274, 0.07065082485316443}},
};

/// A linear layer of weight 1 shows the activation itself, its backward pass with dy = 1 the slope.
TEST(Literal, Activations) {
  everywhere([](const Where& on) {
    for (const ActivationLiteral& c : kActivationLiterals) {
      SCOPED_TRACE(static_cast<int>(c.activation));
      const Tensor x = on.of({6, 1}, kPoints), one = on.of({1, 1}, {1}), y = on.empty({6, 1}), dx = on.empty({6, 1});
      on.backend.linear(
          {.x = x, .weight = one, .bias = {}, .activation = c.activation, .prepared = nullptr, .pre = {}, .y = y});
      expect_values(on, y, c.y);
      on.backend.linear_backward({.x = x,
                                  .weight = one,
                                  .pre = c.activation == Activation::kNone ? Tensor() : x,
                                  .dy = on.of({6, 1}, {1, 1, 1, 1, 1, 1}),
                                  .activation = c.activation,
                                  .dx = dx,
                                  .dweight = {},
                                  .dbias = {}});
      expect_values(on, dx, c.slopes);
    }
  });
}

/// One head of width 2, a sequence of 3 tokens behind an empty one, scale 0.7.
TEST(Literal, Attention) {
  everywhere([](const Where& on) {
    const Shape shape = {3, 2};
    const Tensor q = on.of(shape, {1, 0, 0.5, -1, 2, 1}), k = on.of(shape, {0.5, 0.5, -1, 2, 0, 1});
    const Tensor v = on.of(shape, {1, 2, 3, -1, 0, 0.5}), y = on.empty(shape), lse = on.empty({3, 1});
    const Tensor offsets = ints({0, 0, 3}), dq = on.empty(shape), dk = on.empty(shape), dv = on.empty(shape);
    on.backend.attention(
        {.q = q, .k = k, .v = v, .offsets = offsets, .heads = 1, .scale = 0.7, .dropout = {}, .y = y, .lse = lse});
    expect_values(on, y,
                  {0.9976576798532119, 0.9745844026222277, 0.9012877129169817, 1.1613550516935, 0.9976576798532117,
                   0.9745844026222275});
    expect_values(on, lse, {1.0700937578086869, 0.41198796660974274, 1.770093757808687});
    on.backend.attention_backward({.q = q,
                                   .k = k,
                                   .v = v,
                                   .offsets = offsets,
                                   .y = y,
                                   .lse = lse,
                                   .dy = on.of(shape, {1, -1, 0.5, 2, 0, 1}),
                                   .heads = 1,
                                   .scale = 0.7,
                                   .dropout = {},
                                   .dq = dq,
                                   .dk = dk,
                                   .dv = dv});
    expect_values(on, dq,
                  {-0.6484146027344958, 0.6484146027344959, 0.5997301503498379, -0.5997301503498378, 0.4100905274610058,
                   -0.4100905274610057});
    expect_values(on, dk,
                  {0.6861565979664219, -0.32265638643459427, -0.12855322837922384, 0.02831142967153491,
                   -0.5576033695871977, 0.2943449567630594});
    expect_values(on, dv,
                  {0.7647063483124146, 1.1119989081519908, 0.2278650626664294, 0.23019217256065747, 0.5074285890211561,
                   0.6578089192873516});
  });
}

TEST(Literal, AdamWTwoSteps) {
  everywhere([](const Where& on) {
    const Tensor param = on.of({3}, {1, -2, 0.5}), m = on.of({3}, {0, 0, 0}), v = on.of({3}, {0, 0, 0});
    const auto step = [&](int64_t number) {  // the gradient is (0.5, -1, 0) times the step's number
      on.backend.adamw({.param = param,
                        .grad = on.of({3}, {1, -2, 0}),
                        .m = m,
                        .v = v,
                        .grad_scale = 0.5 * static_cast<double>(number),
                        .lr = 0.1,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .eps = 1e-6,
                        .decay = 0.01,
                        .step = number});
    };
    step(1);
    expect_values(on, param, {0.8990001999996, -1.8980000999999, 0.4995});
    step(2);
    expect_values(on, param, {0.8015831192858935, -1.7995839583519968, 0.4990005});
    expect_values(on, m, {0.145, -0.29, 0});
    expect_values(on, v, {0.00124975, 0.004999, 0});
  });
}

TEST(Literal, RowsAndSums) {
  everywhere([](const Where& on) {
    const Tensor y = on.empty({2, 2}), dword = on.of({3, 2}, {1, 1, 1, 1, 1, 1}), dx = on.empty({3, 2});
    on.backend.embed({.ids = ints({2, 0}),
                      .positions = ints({0, 1}),
                      .segments = ints({1, 1}),
                      .word = on.of({3, 2}, {1, 2, 3, 4, 5, 6}),
                      .position = on.of({2, 2}, {10, 20, 30, 40}),
                      .segment = on.of({2, 2}, {0, 0, 100, 200}),
                      .y = y});
    expect_values(on, y, {115, 226, 131, 242});
    on.backend.embed_backward({.ids = ints({2, 2}),
                               .positions = ints({0, 1}),
                               .segments = ints({0, 0}),
                               .dy = on.of({2, 2}, {1, 2, 3, 4}),
                               .dword = dword,
                               .dposition = {},
                               .dsegment = {}});
    expect_values(on, dword, {1, 1, 1, 1, 5, 7});
    on.backend.gather_rows({.x = on.of({3, 2}, {1, 2, 3, 4, 5, 6}), .rows = ints({2, 0}), .y = y});
    expect_values(on, y, {5, 6, 1, 2});
    on.backend.gather_rows_backward({.rows = ints({2, 2}), .dy = on.of({2, 2}, {1, 2, 3, 4}), .dx = dx});
    expect_values(on, dx, {0, 0, 0, 0, 4, 6});
    on.backend.add_into({.x = on.of({2, 2}, {1, 2, 3, 4}), .y = y});
    expect_values(on, y, {6, 8, 4, 6});
    on.backend.scale({.x = y, .factor = -0.5});
    expect_values(on, y, {-3, -4, -2, -3});
    EXPECT_EQ(on.backend.sum_squares(y), 38);
  });
}

/// The mask is part of the contract: half-words of philox (whose own values are tested in base), low half first.
TEST(Literal, DropoutKeepsByHalfWords) {
  everywhere([](const Where& on) {
    const Dropout dropout{.threshold = 32768, .site = 7, .key = 42};
    const Tensor y = on.empty({16});
    on.backend.dropout({.x = on.of({16}, std::vector<double>(16, 1)), .dropout = dropout, .y = y});
    std::vector<double> expected;
    for (const uint64_t block : {0, 1})
      for (const uint32_t word : philox(42, static_cast<uint32_t>(RandomStream::kDropout), 7, block))
        for (const uint32_t half : {word & 0xFFFF, word >> 16}) expected.push_back(half >= 32768 ? 2 : 0);
    expect_values(on, y, expected);
  });
}

}  // namespace
}  // namespace cloze::test
