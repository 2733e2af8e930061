#include "cloze/model/bert.h"

#include <set>

#include "cloze/tensor/storage.h"
#include "tests/model/model_testing.h"
#include "tests/ops/gradient_check.h"

namespace cloze {
namespace {

using test::BertWithHeads;
using test::error_of;
using test::small_config;

std::set<std::string> names_of(const ParameterList& list) {
  std::set<std::string> names;
  for (const Parameter* parameter : list) EXPECT_TRUE(names.insert(parameter->name).second) << parameter->name;
  return names;
}

/// The names of Hugging Face's BertModel inside BertFor..., as `state_dict()` prints them.
std::set<std::string> expected_names(int64_t layers) {
  std::set<std::string> names = {"bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
                                 "bert.embeddings.token_type_embeddings.weight", "bert.pooler.dense.weight",
                                 "bert.pooler.dense.bias"};
  std::vector<std::string> pairs = {"bert.embeddings.LayerNorm"};
  for (int64_t layer = 0; layer < layers; ++layer)
    for (const char* part :
         {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
          "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"})
      pairs.push_back(fmt::format("bert.encoder.layer.{}.{}", layer, part));
  for (const std::string& name : pairs) names.insert({name + ".weight", name + ".bias"});
  return names;
}

TEST(BertTest, NamesAreHuggingFaces) {
  BertWithHeads model(small_config(3, 8, 2, 11));
  std::set<std::string> expected = expected_names(3);
  expected.insert({"classifier.weight", "classifier.bias"});
  EXPECT_EQ(names_of(model.classifier_parameters()), expected);
  expected.insert({"qa_outputs.weight", "qa_outputs.bias", "cls.seq_relationship.weight", "cls.seq_relationship.bias",
                   "cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
                   "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias",
                   "cls.predictions.bias"});
  EXPECT_EQ(names_of(model.all_parameters()), expected);
}

TEST(BertTest, CountsAreThePublishedOnes) {
  const auto count = [](const char* size, Pooler pooler) {
    Bert bert(BertConfig::preset(size), pooler);
    ParameterList list;
    bert.collect(list);
    return count_elements(list);
  };
  EXPECT_EQ(count("tiny", Pooler::kWith), 4385920);
  EXPECT_EQ(count("mini", Pooler::kWith), 11170560);
  EXPECT_EQ(count("small", Pooler::kWith), 28763648);
  EXPECT_EQ(count("medium", Pooler::kWith), 41373184);
  EXPECT_EQ(count("base", Pooler::kWith), 109482240);
  EXPECT_EQ(count("large", Pooler::kWith), 335141888);
  EXPECT_EQ(count("base", Pooler::kWithout), 108891648);
  // BertForSequenceClassification and BertForPreTraining of bert-base-uncased.
  BertWithHeads base(BertConfig::preset("base"), 2);
  EXPECT_EQ(count_elements(base.classifier_parameters()), 109483778);
  ParameterList pretraining;
  base.bert.collect(pretraining);
  base.masked_words.collect(pretraining);
  base.next_sentence.collect(pretraining);
  EXPECT_EQ(count_elements(pretraining), 110106428);
}

TEST(BertTest, BiasesAndLayerNormsDoNotDecayAndStartAtTheirConstants) {
  BertWithHeads model(small_config(2, 8, 2, 11));
  for (const Parameter* parameter : model.all_parameters()) {
    const bool bias = parameter->name.ends_with("bias"), norm = parameter->name.find("LayerNorm") != std::string::npos;
    EXPECT_EQ(parameter->decay, bias || norm ? Decay::kNo : Decay::kYes) << parameter->name;
    EXPECT_EQ(parameter->init, bias ? Init::kZeros : norm ? Init::kOnes : Init::kNormal) << parameter->name;
  }
}

class BertForwardTest : public ::testing::Test {
 protected:
  BertForwardTest() : model_(small_config(2, 8, 2, 11, 6)) {
    for (Parameter* parameter : model_.all_parameters()) parameter->initialize(1, 0.3);
  }
  BertWithHeads model_;
  ForwardContext context_;
};

TEST_F(BertForwardTest, Shapes) {
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10}}, {});
  const NoGrad no_grad;
  const Var hidden = model_.bert.forward(batch, context_), pooled = model_.bert.pooled(hidden, batch);
  EXPECT_EQ(hidden.value().shape(), Shape({10, 8}));
  EXPECT_EQ(pooled.value().shape(), Shape({3, 8}));
  EXPECT_EQ(model_.classifier.forward(pooled, context_).value().shape(), Shape({3, 3}));
  EXPECT_EQ(model_.classifier.forward(hidden, context_).value().shape(), Shape({10, 3}));
  EXPECT_EQ(model_.answers.forward(hidden).value().shape(), Shape({10, 2}));
  EXPECT_EQ(model_.next_sentence.forward(pooled).value().shape(), Shape({3, 2}));
  const Var words =
      model_.masked_words.forward(gather_rows(hidden, test::int_tensor({1, 9})), model_.bert.word_embeddings());
  EXPECT_EQ(words.value().shape(), Shape({2, 11}));
}

TEST_F(BertForwardTest, PooledOnlyIsPooled) {
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10}}, {});
  const auto pooled = [&] { return model_.bert.pooled(model_.bert.forward(batch, context_), batch); };
  const auto only = [&] { return model_.bert.pooled_only(batch, context_); };
  EXPECT_EQ(test::bits_of(only().value()), test::bits_of(pooled().value()));
  const auto gradients = [&](const Var& vectors) {
    backward(cross_entropy(vectors, test::int_tensor({0, 1, 2})));
    ParameterList list;
    model_.bert.collect(list);
    std::vector<Tensor> found;
    for (const Parameter* parameter : list) {
      found.push_back(parameter->var.grad());
      parameter->var.clear_grad();
    }
    return found;
  };
  const std::vector<Tensor> a = gradients(pooled()), b = gradients(only());
  for (size_t i = 0; i < a.size(); ++i)
    for (int64_t e = 0; e < a[i].elements(); ++e)
      ASSERT_NEAR(a[i].data<float>()[e], b[i].data<float>()[e], 1e-6) << i << " " << e;
  EXPECT_EQ(error_of([&] {
              model_.bert.pooled_only(make_ragged_batch({{1}, {}}, {}), context_);
            }),
            "value: sequence 1 has 0 tokens; the model takes 1 to 6");
}

TEST_F(BertForwardTest, AnEmptyBatchIsNoError) {
  const RaggedBatch batch = make_ragged_batch({}, {});
  const Var hidden = model_.bert.forward(batch, context_);
  EXPECT_EQ(hidden.value().shape(), Shape({0, 8}));
  EXPECT_EQ(model_.bert.pooled(hidden, batch).value().shape(), Shape({0, 8}));
  EXPECT_EQ(model_.bert.pooled_only(batch, context_).value().shape(), Shape({0, 8}));
}

TEST_F(BertForwardTest, Errors) {
  const auto refusal = [&](const test::Rows& rows, const test::Rows& segments = {}) {
    return error_of([&] { model_.bert.forward(make_ragged_batch(rows, segments), context_); });
  };
  EXPECT_EQ(refusal({{1}, {1, 1, 1, 1, 1, 1, 1}}), "value: sequence 1 has 7 tokens; the model takes 1 to 6");
  EXPECT_EQ(refusal({{1}, {}}), "value: sequence 1 has 0 tokens; the model takes 1 to 6");
  EXPECT_EQ(refusal({{1}, {2, 11}}), "value: [embed] id 11 at token 2 is outside the table of 11 rows");
  EXPECT_EQ(refusal({{1}}, {{2}}), "value: [embed] segment 2 at token 0 is outside the table of 2 rows");
  const Bert bare(small_config(1, 8, 2, 11), Pooler::kWithout);
  EXPECT_FALSE(bare.has_pooler());
  EXPECT_EQ(error_of([&] {
              bare.pooled(Var(Tensor::zeros({1, 8}, DType::kF32)), make_ragged_batch({{1}}, {}));
            }),
            "internal: this model was built without a pooler");
  EXPECT_EQ(error_of([&] { bare.forward(make_ragged_batch({{1}}, {}), context_); }),
            "internal: an undefined Var was read")
      << "weights that nobody set";
}

TEST_F(BertForwardTest, RecomputedActivationsGiveTheSameBits) {
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10}}, {});
  const auto run = [&](Activations activations, bool first_tokens_only, int64_t& kept) {
    ForwardContext context = ForwardContext::training(3, 9, activations);
    const int64_t before = memory_use().current_bytes;
    const Var x = first_tokens_only ? model_.bert.pooled_only(batch, context) : model_.bert.forward(batch, context);
    const Var logits = model_.classifier.forward(x, context);
    kept = memory_use().current_bytes - before;
    std::vector<int32_t> targets(static_cast<size_t>(logits.value().shape()[0]), 1);
    backward(cross_entropy(logits, test::int_tensor(targets)));
    std::string bits = test::bits_of(logits.value());
    for (const Parameter* parameter : model_.all_parameters()) {
      if (parameter->var.grad().defined()) bits += parameter->name + test::bits_of(parameter->var.grad());
      parameter->var.clear_grad();
    }
    return bits;
  };
  for (const bool first_tokens_only : {false, true}) {
    int64_t kept = 0, recomputed = 0;
    const std::string bits = run(Activations::kKept, first_tokens_only, kept);
    EXPECT_TRUE(run(Activations::kRecomputed, first_tokens_only, recomputed) == bits) << first_tokens_only;
    EXPECT_LT(recomputed, kept);
  }
}

TEST_F(BertForwardTest, DropoutOnlyInTraining) {
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}}, {});
  const NoGrad no_grad;
  const auto run = [&](ForwardContext context) { return test::bits_of(model_.bert.forward(batch, context).value()); };
  EXPECT_EQ(run(ForwardContext()), run(ForwardContext()));
  EXPECT_EQ(run(ForwardContext::training(1, 2)), run(ForwardContext::training(1, 2)));
  EXPECT_NE(run(ForwardContext::training(1, 2)), run(ForwardContext()));
  EXPECT_NE(run(ForwardContext::training(1, 2)), run(ForwardContext::training(1, 3)));
}

TEST_F(BertForwardTest, PredictionKeepsNothingButItsResult) {
  const RaggedBatch batch = make_ragged_batch({{1, 2, 3}, {4, 5}}, {});
  const auto held_bytes = [&] {
    const int64_t before = memory_use().current_bytes;
    const Var hidden = model_.bert.forward(batch, context_);
    return memory_use().current_bytes - before;
  };
  EXPECT_GT(held_bytes(), 20 * 5 * 8 * 4) << "recorded";
  const NoGrad no_grad;
  EXPECT_LE(held_bytes(), 5 * 8 * 4 + 64) << "the hidden states in one block of the pool";
}

TEST(ClassifierHeadTest, ItsOwnDropoutOverrides) {
  BertConfig config = small_config(1, 64, 2, 11);
  const auto head_gives_zeros = [&] {
    ClassifierHead head(config, 2);
    ParameterList list;
    head.collect(list);
    for (Parameter* parameter : list) parameter->initialize(1, 0.3);
    ForwardContext training = ForwardContext::training(1, 1), evaluation;
    const Var x(Tensor::full({5, 64}, DType::kF32, 1));
    return test::bits_of(head.forward(x, training).value()) == test::bits_of(head.forward(x, evaluation).value());
  };
  EXPECT_FALSE(head_gives_zeros());
  config.source = {{"classifier_dropout", 0.0}};
  EXPECT_TRUE(head_gives_zeros());
  config.source = {{"classifier_dropout", nullptr}};
  EXPECT_FALSE(head_gives_zeros()) << "null means the encoder's";
  config.source = {{"classifier_dropout", 1.0}};
  EXPECT_EQ(error_of([&] { ClassifierHead(config, 2); }),
            "value: config.json: \"classifier_dropout\" must be in [0, 1), found 1");
}

}  // namespace
}  // namespace cloze
