// The gradient of the whole model with all its heads and dropout on, in f64 on the reference backend.
#include <algorithm>

#include "tests/model/model_testing.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::BertWithHeads;

/// Losses of all heads, summed: every parameter takes part.
Var loss_of(const BertWithHeads& model) {
  const RaggedBatch batch = make_ragged_batch({{3, 7, 7, 1, 10}, {4}, {5, 6, 3}}, {{0, 0, 1, 1, 1}, {0}, {0, 0, 1}});
  ForwardContext context = ForwardContext::training(11, 5);
  const Var hidden = model.bert.forward(batch, context), pooled = model.bert.pooled(hidden, batch);
  const Var rows = gather_rows(hidden, test::int_tensor({1, 2, 5, 8}));
  const Var words = model.masked_words.forward(rows, model.bert.word_embeddings());
  return test::sum_of({cross_entropy(model.classifier.forward(pooled, context), test::int_tensor({2, 0, 1})),
                       cross_entropy(words, test::int_tensor({9, 0, -1, 4})),
                       cross_entropy(model.next_sentence.forward(pooled), test::int_tensor({1, 0, 1})),
                       cross_entropy(model.answers.forward(hidden), test::int_tensor({1, 0, 1, -1, 0, 1, 1, 0, 0}))});
}

void check_gradients(Activation activation) {
  BertConfig config = test::small_config(2, 8, 2, 11, 6);
  config.hidden_act = activation;
  const BackendScope scope(ref_backend());
  BertWithHeads model(config);
  uint64_t seed = 0;
  for (Parameter* parameter : model.all_parameters())
    parameter->set(test::normal_tensor(parameter->shape, ++seed, 0.4, parameter->init == Init::kOnes ? 1 : 0));
  backward(loss_of(model));
  const auto loss = [&] {
    const NoGrad no_grad;
    return loss_of(model).value().data<double>()[0];
  };
  Rng rng(1, RandomStream::kTest);
  for (const Parameter* parameter : model.all_parameters()) {
    SCOPED_TRACE(parameter->name);
    ASSERT_TRUE(parameter->var.grad().defined());
    const auto gradient = parameter->var.grad().values<double>();
    double largest = 0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    // The key's bias moves all scores of a query alike: its gradient is 0 but for rounding.
    if (parameter->name.ends_with("key.bias")) {
      EXPECT_LT(largest, 1e-15);
    } else {
      EXPECT_GT(largest, 1e-3);
    }
    for (int pick = 0; pick < 6; ++pick) {
      const auto i = static_cast<int64_t>(rng.below(gradient.size()));
      const double expected = test::difference_quotient(parameter->var.value(), i, loss);
      EXPECT_NEAR(gradient[static_cast<size_t>(i)], expected, 1e-8 * std::max(largest, 0.1)) << "element " << i;
    }
  }
}

TEST(ModelGradientTest, WholeModel) {
  check_gradients(Activation::kGelu);
}
TEST(ModelGradientTest, WholeModelWithTanhGelu) {
  check_gradients(Activation::kGeluTanh);
}

}  // namespace
}  // namespace cloze
