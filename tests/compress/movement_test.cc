#include "cloze/compress/movement.h"

#include <gmock/gmock.h>

#include <cmath>

#include "cloze/base/error.h"
#include "cloze/compress/sparsify.h"
#include "cloze/optim/zero_mask.h"
#include "cloze/task/task.h"
#include "tiny_task.h"

namespace cloze {
namespace {

const std::vector<int64_t> kAll = {2, 0, 3, 1};

Parameter& find(const ParameterList& parameters, const std::string& name) {
  return **std::ranges::find(parameters, name, &Parameter::name);
}

TEST(Movement, OneStepIsTheDerivativeByAMaskTurnedRound) {
  const test::TemporaryFolder place;
  const auto task = test::tiny_task(place), same = test::tiny_task(place);
  const MaskDerivatives masks(same->parameters(), test::tiny_config());
  Importance expected = masks.zeros();
  ForwardContext context;
  backward(same->loss(kAll, context));
  masks.add_to(expected, [](double derivative) { return -derivative; });
  const Movement found = movement_of(*task, test::tiny_config(), kAll, {.batch = 4});
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_THAT(found.units.heads[layer], ::testing::ElementsAreArray(expected.heads[layer]));
    EXPECT_THAT(found.units.neurons[layer], ::testing::ElementsAreArray(expected.neurons[layer]));
    // A mask's score is the sum of those of the weights behind it.
    const Tensor& output = found.weights.at(fmt::format("bert.encoder.layer.{}.attention.output.dense.weight", layer));
    std::vector<double> sums(2, 0);
    for (int64_t m = 0; m < 8; ++m)
      for (int64_t k = 0; k < 8; ++k)
        sums[static_cast<size_t>(k / 4)] += static_cast<double>(output.data<float>()[m * 8 + k]);
    for (size_t head = 0; head < 2; ++head) EXPECT_NEAR(sums[head], found.units.heads[layer][head], 1e-5);
  }
  EXPECT_EQ(found.units.hidden, expected.hidden);
  EXPECT_EQ(found.weights.size(), 12U) << "six products of two layers";
}

TEST(Movement, TellsWhereWeightsWent) {
  const test::TemporaryFolder place;
  const auto task = test::tiny_task(place);
  const ParameterList products = encoder_products(task->parameters());
  std::map<std::string, Tensor> before;
  for (const Parameter* product : products) before.emplace(product->name, product->var.value().clone());
  std::vector<int64_t> rows;
  for (int pass = 0; pass < 5; ++pass) rows.insert(rows.end(), kAll.begin(), kAll.end());
  int64_t heard = 0;
  const Movement found = movement_of(*task, test::tiny_config(), rows,
                                     {.batch = 4, .rate = 1e-3, .progress = [&](int64_t done) { heard = done; }});
  EXPECT_EQ(heard, 20);
  int64_t agree = 0, all = 0;
  for (const Parameter* product : products) {
    const auto score = found.weights.at(product->name).values<float>(), was = before.at(product->name).values<float>(),
               is = product->var.value().values<float>();
    for (size_t i = 0; i < score.size(); ++i) {
      if (std::abs(score[i]) < 1e-4f) continue;
      ++all;
      agree += (score[i] > 0) == (std::abs(is[i]) > std::abs(was[i]));
    }
  }
  EXPECT_GT(all, 300);
  EXPECT_GT(static_cast<double>(agree), 0.9 * static_cast<double>(all));
}

TEST(Movement, ZerosStayAndScoreNothing) {
  const test::TemporaryFolder place;
  const auto task = test::tiny_task(place);
  const std::string name = "bert.encoder.layer.1.intermediate.dense.weight";
  Parameter& product = find(task->parameters(), name);
  Tensor thin = product.var.value().clone();
  for (int64_t i = 0; i < thin.elements(); i += 2) thin.data<float>()[i] = 0;
  product.set(thin);
  const float before = thin.data<float>()[1];
  const Movement found = movement_of(*task, test::tiny_config(), kAll, {.batch = 1, .rate = 1e-2});
  for (int64_t i = 0; i < thin.elements(); i += 2) {
    EXPECT_EQ(product.var.value().data<float>()[i], 0);
    EXPECT_EQ(found.weights.at(name).data<float>()[i], 0);
  }
  EXPECT_NE(product.var.value().data<float>()[1], before);
}

TEST(Movement, ALossThatBurstsIsAnError) {
  const test::TemporaryFolder place;
  const auto task = test::tiny_task(place);
  Parameter& product = find(task->parameters(), "bert.encoder.layer.0.output.dense.weight");
  product.set(Tensor::full(product.shape, DType::kF32, 3e38));
  EXPECT_THROW(movement_of(*task, test::tiny_config(), kAll, {}), Error);
}

TEST(Movement, PricesKeepTheOrderAboveZero) {
  const Importance prices = as_prices({{{3.0}, {-3.0, 0.0}}, {{}, {}}, {0.0, 0.0}});
  const double r = std::sqrt(6.0);
  EXPECT_NEAR(prices.heads[0][0], 3 + std::sqrt(15.0), 1e-12);
  EXPECT_NEAR(prices.heads[1][0], -3 + std::sqrt(15.0), 1e-12);
  EXPECT_NEAR(prices.heads[1][1], r, 1e-12);
  EXPECT_THAT(prices.hidden, ::testing::ElementsAre(0.0, 0.0));
}

}  // namespace
}  // namespace cloze
