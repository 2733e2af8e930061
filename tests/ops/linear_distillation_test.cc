// linear_distillation by hand, against its parts one after the other, and against differences.
#include "cloze/ops/linear_distillation.h"

#include "cloze/tensor/storage.h"
#include "gradient_check.h"

namespace cloze::test {
namespace {

constexpr int64_t kDistillationChunks[] = {0, 1, 2, 3, 7, 100};

/// A teacher with logits [R,V] that are known beforehand.
TaughtRows taught(const Tensor& logits, double share, double temperature) {
  return {.share = share, .temperature = temperature, .logits = [logits](int64_t begin, int64_t end) {
            return logits.rows(begin, end).clone();
          }};
}

struct DistillationInputs {
  Var x, weight, bias;
  Tensor targets, teacher;
  DistillationInputs(int64_t R, int64_t H, int64_t V, DType dtype)
      : x(Var::leaf(normal_tensor({R, H}, 1, 1, 0, dtype))),
        weight(Var::leaf(normal_tensor({V, H}, 2, 1, 0, dtype))),
        bias(Var::leaf(normal_tensor({V}, 3, 1, 0, dtype))),
        teacher(normal_tensor({R, V}, 4, 2, 3, dtype)) {
    std::vector<int32_t> values;
    for (int64_t r = 0; r < R; ++r) values.push_back(r % 3 == 1 ? -1 : static_cast<int32_t>(r * 5 % V));
    targets = int_tensor(values);
  }
  Var fused(double share, double temperature, int64_t chunk_rows, DistillationStatistics* statistics = nullptr,
            Precision precision = Precision::kF32) const {
    return linear_distillation(x, weight, bias, targets, taught(teacher, share, temperature), precision, statistics,
                               chunk_rows);
  }
  /// As finetune makes it, of all logits at once. The teacher's probabilities are rounded to F32.
  Var apart(double share, double temperature) const {
    const Var logits = linear(x, weight, bias);
    const Tensor p = softmax(teacher), q(p.shape(), DType::kF32), counted({targets.elements()}, DType::kF32);
    for (int64_t i = 0; i < p.elements(); ++i) q.data<float>()[i] = static_cast<float>(element(p, i));
    for (int64_t r = 0; r < targets.elements(); ++r)
      counted.data<float>()[r] = targets.data<int32_t>()[r] >= 0 ? 1.0F : 0.0F;
    return add(scaled(cross_entropy(logits, targets), 1 - share),
               distillation_loss(logits, q, temperature, share, counted));
  }
  /// Loss, dx, dweight and dbias.
  std::vector<Tensor> results(const Var& loss) const {
    backward(loss, 3);
    std::vector<Tensor> all = {loss.value()};
    for (const Var* leaf : {&x, &weight, &bias}) {
      all.push_back(leaf->grad().clone());
      leaf->clear_grad();
    }
    return all;
  }
};

class LinearDistillation : public ::testing::TestWithParam<const char*> {
 protected:
  BackendScope scope_{GetParam() == std::string("ref") ? ref_backend() : cpu_backend()};
};
INSTANTIATE_TEST_SUITE_P(Backends, LinearDistillation, ::testing::Values("ref", "cpu"),
                         [](const auto& row) { return row.param; });

/// Logits are x itself: the weight is the identity. The student says (1/2, 1/2), the teacher (3/4, 1/4).
TEST_P(LinearDistillation, LiteralValues) {
  const Var x(Tensor::of<float>({3, 2}, {5, 5, 1, 9, 5, 5}));
  const Var weight(Tensor::of<float>({2, 2}, {1, 0, 0, 1}));
  const Tensor targets = int_tensor({0, -1, 1});
  const float three = std::log(3.0F);
  const Tensor teacher = Tensor::of<float>({3, 2}, {three, 0, 40, -40, 7 + three, 7});
  const double kl = std::log(2.0) + 0.75 * std::log(0.75) + 0.25 * std::log(0.25);
  // Temperature 2 makes (sqrt 3, 1) / (sqrt 3 + 1) of the teacher, and the distance counts four times.
  const double q = std::sqrt(3.0) / (std::sqrt(3.0) + 1);
  const double softer = 4 * (std::log(2.0) + q * std::log(q) + (1 - q) * std::log(1 - q));
  for (const auto& [share, temperature, distance] :
       {std::tuple(0.25, 1.0, kl), std::tuple(1.0, 1.0, kl), std::tuple(0.0, 1.0, kl), std::tuple(0.25, 2.0, softer)}) {
    for (const int64_t rows : {0, 1, 2}) {
      DistillationStatistics found;
      const Var loss = linear_distillation(x, weight, {}, targets, taught(teacher, share, temperature), Precision::kF32,
                                           &found, rows);
      EXPECT_NEAR(element(loss.value(), 0), (1 - share) * std::log(2.0) + share * distance, 1e-6);
      EXPECT_NEAR(found.distance_sum, 2 * distance, 1e-6);
      EXPECT_EQ(found.words.rows, 2);
      EXPECT_EQ(found.words.right, 1) << "of two equal logits the first is taken";
      EXPECT_NEAR(found.words.loss_sum, 2 * std::log(2.0), 1e-6) << "the words' own, whatever their share";
    }
  }
}

TEST_P(LinearDistillation, IsItsPartsOneAfterTheOther) {
  for (const auto& [dtype, bound] : {std::pair(DType::kF64, 2e-6), std::pair(DType::kF32, 4e-6)}) {
    const DistillationInputs in(7, 5, 19, dtype);
    for (const auto& [share, temperature] :
         {std::pair(0.3, 2.0), std::pair(1.0, 1.0), std::pair(0.7, 0.5), std::pair(0.5, 8.0)}) {
      const std::vector<Tensor> expected = in.results(in.apart(share, temperature));
      for (const int64_t rows : kDistillationChunks) {
        SCOPED_TRACE(testing::Message() << dtype_name(dtype) << " share " << share << " chunks of " << rows);
        expect_alike(in.results(in.fused(share, temperature, rows)), expected, bound);
      }
    }
  }
}

TEST_P(LinearDistillation, WithoutAShareItIsTheCrossEntropy) {
  const DistillationInputs in(7, 5, 19, DType::kF32);
  const std::vector<Tensor> expected =
      in.results(linear_cross_entropy(in.x, in.weight, in.bias, in.targets, Precision::kF32, nullptr, 3));
  expect_alike(in.results(in.fused(0, 2, 3)), expected, 1e-6);
}

TEST_P(LinearDistillation, IsZeroWhereBothSayTheSame) {
  DistillationInputs in(7, 5, 300, DType::kF32);
  in.teacher = linear(in.x, in.weight, in.bias).value();
  for (const int64_t rows : kDistillationChunks) {
    const std::vector<Tensor> found = in.results(in.fused(1, 2, rows));
    EXPECT_EQ(element(found[0], 0), 0);
    for (size_t i = 1; i < found.size(); ++i)
      for (int64_t k = 0; k < found[i].elements(); ++k) EXPECT_NEAR(element(found[i], k), 0, 1e-6);
  }
}

TEST_P(LinearDistillation, RecordsNothingWhereNothingIsWanted) {
  const DistillationInputs in(7, 5, 19, DType::kF32);
  const double recorded = element(in.fused(0.5, 2, 3).value(), 0);
  const NoGrad no_grad;
  const Var loss = in.fused(0.5, 2, 3);
  EXPECT_FALSE(loss.needs_grad());
  EXPECT_EQ(element(loss.value(), 0), recorded);
}

TEST_P(LinearDistillation, NothingCountedGivesNothing) {
  for (const auto& targets : {std::vector<int32_t>{}, {-1, -1, -1}}) {
    DistillationInputs in(static_cast<int64_t>(targets.size()), 4, 6, DType::kF32);
    in.targets = int_tensor(targets);
    DistillationStatistics found = {.words = {}, .distance_sum = 1e9};
    const Var loss = in.fused(0.5, 2, 2, &found);
    EXPECT_EQ(element(loss.value(), 0), 0);
    EXPECT_EQ(found.distance_sum, 0);
    backward(loss);
    for (const Var* leaf : {&in.x, &in.weight, &in.bias})
      EXPECT_THAT(leaf->grad().values<float>(), ::testing::Each(0.F));
  }
}

TEST(LinearDistillationGradient, OfEachInput) {
  const DistillationInputs in(7, 3, 11, DType::kF64);
  for (const auto& setting : {std::pair(0.4, 2.0), std::pair(1.0, 0.7), std::pair(0.9, 5.0)})
    for (const int64_t rows : {0, 1, 3}) {
      const double share = setting.first, temperature = setting.second;
      SCOPED_TRACE(testing::Message() << share << " " << temperature << " " << rows);
      expect_gradients({{"x", in.x}, {"weight", in.weight}, {"bias", in.bias}},
                       [&] { return in.fused(share, temperature, rows); });
    }
}

/// Neither the student's nor the teacher's logits are ever there as a whole.
TEST(LinearDistillationMemory, IsAChunkAndTheGradients) {
  constexpr int64_t R = 1024, H = 4, V = 20000, kMb = 1 << 20;  // all logits: 78 MB
  const DistillationInputs in(R, H, V, DType::kF32);
  reset_peak_memory();
  const int64_t before = memory_use().current_bytes;
  in.fused(0.5, 2, 0);
  EXPECT_LT(memory_use().peak_bytes - before, (4 * 24 + 8) * kMb);
}

TEST(LinearDistillationErrors, SayWhatWasExpected) {
  const DistillationInputs in(3, 2, 5, DType::kF32);
  const auto error = [&](const Tensor& teacher, double share, double temperature) {
    return error_of([&] {
      linear_distillation(
          in.x, in.weight, in.bias, in.targets,
          {.share = share, .temperature = temperature, .logits = [&](int64_t, int64_t) { return teacher; }});
    });
  };
  EXPECT_EQ(error(Tensor::zeros({3, 4}, DType::kF32), 0.5, 2),
            "shape: [linear_distillation] the teacher's logits must be [3, 5] of F32, got [3, 4] of F32");
  EXPECT_EQ(error(Tensor::zeros({3, 5}, DType::kF64), 0.5, 2),
            "shape: [linear_distillation] the teacher's logits must be [3, 5] of F32, got [3, 5] of F64");
  for (const auto& [share, temperature] : {std::pair(1.5, 2.0), std::pair(-0.5, 2.0), std::pair(0.5, 0.0)})
    EXPECT_EQ(error(in.teacher, share, temperature),
              fmt::format("value: [linear_distillation] share must be 0 to 1 and temperature above 0, got {} and {}",
                          share, temperature));
}

}  // namespace
}  // namespace cloze::test
