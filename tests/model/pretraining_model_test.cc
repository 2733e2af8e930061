// Bert::forward_at against forward and gather_rows, values and gradients; the pretraining heads on both ways.
#include "cloze/model/pretraining_model.h"

#include "cloze/ops/ops.h"
#include "tests/model/model_testing.h"

namespace cloze {
namespace {

using test::error_of;

struct Example {
  RaggedBatch batch;
  PickedRows picked;
};

Tensor ints(const std::vector<int32_t>& values) {
  return Tensor::of<int32_t>({static_cast<int64_t>(values.size())}, values);
}

/// Sequences of 7, 1, 20 and 3 tokens; several tokens, one, and all of a sequence.
Example example() {
  return {make_ragged_batch(test::random_rows({7, 1, 20, 3}, 50), {}),
          {ints({0, 3, 6, 7, 8, 9, 27, 28, 29, 30}), ints({0, 3, 4, 7, 10})}};
}

PretrainingModel make_model(PretrainingHeads heads = {}) {
  PretrainingModel model(test::small_config(3, 32, 4, 50), heads);
  ParameterList list;
  model.collect(list);
  for (Parameter* parameter : list) parameter->initialize(3, 0.2);
  return model;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  for (int64_t i = 0; i < a.elements(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i])));
  return most;
}

TEST(ForwardAt, IsForwardAndGatherRows) {
  PretrainingModel model = make_model();
  const Example e = example();
  const NoGrad no_grad;
  ForwardContext context;
  for (const bool frozen : {false, true}) {
    if (frozen) model.freeze();
    const Tensor all = gather_rows(model.bert().forward(e.batch, context), e.picked.rows).value();
    const Tensor some = model.bert().forward_at(e.batch, e.picked, context).value();
    EXPECT_LT(largest_difference(some, all), 1e-5) << frozen;
  }
}

TEST(ForwardAt, HasTheSameGradients) {
  const Example e = example();
  const Tensor masked = ints({1, 2, 5, 8}), first = ints({0, 3, 4, 7}), targets = ints({4, 8, 15, 16}),
               labels = ints({0, 1, 1, 0});
  std::vector<Tensor> grads[2], values;
  std::vector<std::string> names;
  for (const bool at : {false, true}) {
    PretrainingModel model = make_model();
    ParameterList list;
    model.collect(list);
    ForwardContext context;
    const Var hidden = at ? model.bert().forward_at(e.batch, e.picked, context)
                          : gather_rows(model.bert().forward(e.batch, context), e.picked.rows);
    const Var loss = add(cross_entropy(model.masked_logits(hidden, masked), targets),
                         cross_entropy(model.next_sentence_logits(hidden, first), labels));
    values.push_back(loss.value());
    backward(loss);
    for (const Parameter* parameter : list) {
      grads[at ? 1 : 0].push_back(parameter->var.grad());
      if (at) names.push_back(parameter->name);
    }
  }
  EXPECT_LT(largest_difference(values[0], values[1]), 1e-5);
  for (size_t i = 0; i < names.size(); ++i) {
    ASSERT_TRUE(grads[0][i].defined() && grads[1][i].defined()) << names[i];
    EXPECT_LT(largest_difference(grads[0][i], grads[1][i]), 2e-5) << names[i];
  }
}

TEST(PretrainingModel, HeadsThatAreNotThere) {
  const auto names = [](PretrainingHeads heads) {
    PretrainingModel model(test::small_config(1, 16, 2, 20), heads);
    ParameterList list;
    model.collect(list);
    std::string all;
    for (const Parameter* parameter : list)
      if (!parameter->name.starts_with("bert.e")) all += parameter->name + " ";
    return all;
  };
  const std::string words = names({.masked_words = true, .next_sentence = false});
  EXPECT_THAT(words, testing::AllOf(testing::HasSubstr("cls.predictions."), testing::Not(testing::HasSubstr("pooler")),
                                    testing::Not(testing::HasSubstr("seq_relationship"))));
  const std::string sentences = names({.masked_words = false, .next_sentence = true});
  EXPECT_THAT(sentences,
              testing::AllOf(testing::HasSubstr("cls.seq_relationship.weight"), testing::HasSubstr("bert.pooler."),
                             testing::Not(testing::HasSubstr("cls.predictions"))));

  const Example e = example();
  const NoGrad no_grad;
  ForwardContext context;
  const PretrainingModel model = make_model({.masked_words = false, .next_sentence = false});
  const Var hidden = model.bert().forward_at(e.batch, e.picked, context);
  const Tensor rows = ints({0});
  EXPECT_THAT(error_of([&] { model.masked_logits(hidden, rows); }),
              testing::HasSubstr("internal: this model was built"));
  EXPECT_THAT(error_of([&] { model.decoder_bias(); }), testing::HasSubstr("internal: this model was built"));
  EXPECT_THAT(error_of([&] { model.next_sentence_logits(hidden, rows); }), testing::HasSubstr("internal: this model"));
}

}  // namespace
}  // namespace cloze
