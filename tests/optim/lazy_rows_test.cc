// Lazy AdamW against AdamW over the whole table: every bit, whoever reads when.
#include "cloze/optim/lazy_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cloze/base/rng.h"
#include "cloze/base/thread_team.h"
#include "cloze/ops/ops.h"
#include "cloze/optim/adamw.h"

namespace cloze {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

struct Setting {
  const Backend& backend;
  DType dtype;
  int64_t rows, width;
  Decay decay = Decay::kYes;
  MomentType moments = MomentType::kAsParameter;
};

/// The same table twice: `lazy` gets row gradients, `dense` the same as whole tables.
struct Twins {
  explicit Twins(const Setting& s)
      : setting(s), scope(s.backend), a(table(s)), b(table(s)), lazy({&a}, options(s)), dense({&b}, options(s)) {}

  static AdamWOptions options(const Setting& s) { return {.weight_decay = 0.1, .moments = s.moments}; }

  static Parameter table(const Setting& s) {
    Parameter parameter = {"p", {s.rows, s.width}, Init::kNormal, s.decay, {}};
    parameter.initialize(1, 1.0, s.dtype);
    return parameter;
  }
  /// Rows of the lower half are often in a step, those of the upper half seldom, the last never.
  RowGradient random_gradient() {
    std::vector<int32_t> rows;
    for (int64_t row = 0; row + 1 < setting.rows; ++row)
      if (rng.below(row < setting.rows / 2 ? 3 : 20) == 0) rows.push_back(static_cast<int32_t>(row));
    const int64_t count = static_cast<int64_t>(rows.size());
    Parameter values = {"g", {count, setting.width}, Init::kNormal, Decay::kNo, {}};
    values.initialize(rng.next_u32(), 0.3, setting.dtype);
    return {Tensor::of({count}, rows), values.var.value()};
  }
  void step() {
    const RowGradient gradient = random_gradient();
    a.var.add_row_grad(gradient);
    b.var.add_grad(dense_of(gradient, b.shape));
    EXPECT_NEAR(lazy.gradient_norm(), dense.gradient_norm(), 1e-9 * dense.gradient_norm());
    const double rate = 0.1 * rng.uniform(), clip = rng.uniform();
    lazy.step(rate, clip);
    dense.step(rate, clip);
    EXPECT_FALSE(a.var.has_grad());
  }
  void expect_same(const std::string& when) {
    ASSERT_TRUE(same_bits(a.var.value(), b.var.value())) << "value, " << when;
    ASSERT_TRUE(same_bits(lazy.first_moment(0), dense.first_moment(0))) << "m, " << when;
    ASSERT_TRUE(same_bits(lazy.second_moment(0), dense.second_moment(0))) << "v, " << when;
  }

  Setting setting;
  BackendScope scope;
  Parameter a, b;
  AdamW lazy, dense;
  Rng rng{5, RandomStream::kTest};
};

class LazyRowsTest : public ::testing::Test {
 protected:
  ~LazyRowsTest() override { set_thread_count(0); }
};

TEST_F(LazyRowsTest, HaveTheBitsOfWholeSteps) {
  const Setting settings[] = {{cpu_backend(), DType::kF32, 301, 64},
                              {cpu_backend(), DType::kF32, 40, 33},
                              {cpu_backend(), DType::kF32, 7, 5, Decay::kNo},
                              {cpu_backend(), DType::kF64, 20, 9},
                              {ref_backend(), DType::kF32, 20, 9},
                              {ref_backend(), DType::kF64, 20, 9, Decay::kNo},
                              {cpu_backend(), DType::kF32, 40, 33, Decay::kYes, MomentType::kBF16},
                              {cpu_backend(), DType::kF32, 20, 128, Decay::kNo, MomentType::kBF16},
                              {ref_backend(), DType::kF32, 20, 9, Decay::kYes, MomentType::kBF16}};
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    for (const Setting& s : settings) {
      Twins twins(s);
      for (int i = 0; i < 50; ++i) twins.step();
      ASSERT_NE(twins.a.var.pending(), nullptr) << "nothing was lazy";
      twins.expect_same(fmt::format("{} rows of {}, {} threads", s.rows, s.width, threads));
      for (int i = 0; i < 7; ++i) twins.step();
      twins.expect_same("after more steps");
    }
  }
}

TEST_F(LazyRowsTest, AReaderOfRowsSeesThem) {
  Twins twins({cpu_backend(), DType::kF32, 60, 16});
  const Tensor zeros = Tensor::zeros({64, 16}, DType::kF32);
  for (int i = 0; i < 20; ++i) {
    twins.step();
    const RaggedBatch batch = make_ragged_batch({{3, 50, 59, 3, 31}}, {});
    const auto read = [&](const Var& word) { return embed(batch, word, Var(zeros), Var(zeros)).value(); };
    const NoGrad no_grad;
    EXPECT_TRUE(same_bits(read(twins.a.var), read(twins.b.var))) << "step " << i;
  }
  twins.expect_same("at the end");
}

TEST_F(LazyRowsTest, MoreStepsThanAreOwed) {
  for (const auto& [backend, width] : {std::pair{&cpu_backend(), 12}, std::pair{&ref_backend(), 3}}) {
    Twins twins({*backend, DType::kF32, 24, width});
    for (size_t i = 0; i < 2 * LazyRows::kMostSteps + 10; ++i) twins.step();
    twins.expect_same("after many steps");
  }
}

TEST_F(LazyRowsTest, DenseStepsBetween) {
  Twins twins({cpu_backend(), DType::kF32, 24, 12});
  for (int i = 0; i < 24; ++i) {
    twins.step();
    if (i % 5 == 2) {
      const Tensor gradient = Tensor::full({24, 12}, DType::kF32, 0.1 * i);
      twins.a.var.add_grad(gradient), twins.b.var.add_grad(gradient);
    }
    if (i % 4 != 1) {  // else a step without any gradient
      const RowGradient gradient = twins.random_gradient();
      twins.a.var.add_row_grad(gradient);
      twins.b.var.add_grad(dense_of(gradient, twins.b.shape));
    }
    twins.lazy.step(0.01, 1), twins.dense.step(0.01, 1);
  }
  twins.expect_same("at the end");
}

TEST_F(LazyRowsTest, WritesBetweenStepsCount) {
  Twins twins({cpu_backend(), DType::kF32, 24, 12});
  for (int i = 0; i < 12; ++i) {
    twins.step();
    if (i == 4)
      for (const Parameter* p : {&twins.a, &twins.b}) p->var.value().data<float>()[200] = 3;
    if (i == 7)  // a resumed run does this
      for (Parameter* p : {&twins.a, &twins.b}) p->set(Tensor::full({24, 12}, DType::kF32, 0.5));
    if (i == 9)
      for (AdamW* optimizer : {&twins.lazy, &twins.dense}) {
        optimizer->second_moment(0).data<float>()[30] = 2;
        optimizer->restore(40);
      }
  }
  twins.expect_same("at the end");
}

TEST_F(LazyRowsTest, AreOwedWhenTheOptimizerIsGone) {
  const BackendScope scope(cpu_backend());
  const Setting s{cpu_backend(), DType::kF32, 24, 12};
  Parameter survivor;
  Tensor expected;
  {
    Twins twins(s);
    for (int i = 0; i < 9; ++i) twins.step();
    survivor = twins.a;  // the same Var
    expected = twins.b.var.value();
  }
  ASSERT_NE(survivor.var.pending(), nullptr);
  EXPECT_TRUE(same_bits(survivor.var.value(), expected));
  EXPECT_EQ(survivor.var.pending(), nullptr) << "the moments' memory is let go";
}

TEST_F(LazyRowsTest, TwoOptimizersInTurn) {
  Twins twins({cpu_backend(), DType::kF32, 24, 12});
  AdamW lazy({&twins.a}, {}), dense({&twins.b}, {});
  for (int i = 0; i < 10; ++i) {
    twins.step();
    const RowGradient gradient = twins.random_gradient();
    twins.a.var.add_row_grad(gradient);
    twins.b.var.add_grad(dense_of(gradient, twins.b.shape));
    lazy.step(0.01, 1), dense.step(0.01, 1);
  }
  twins.expect_same("at the end");
}

}  // namespace
}  // namespace cloze
