// Poolings: their names, and their vectors against sums written out here.
#include "cloze/transfer/pooling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;

BertConfig small_config(int64_t layers) {
  BertConfig config;
  config.vocab_size = 20;
  config.hidden_size = 8;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 2;
  config.intermediate_size = 16;
  config.max_position_embeddings = 16;
  return config;
}

class PoolingVectors : public testing::Test {
 protected:
  PoolingVectors() : bert_(small_config(4), Pooler::kWith) {
    ParameterList list;
    bert_.collect(list);
    for (Parameter* parameter : list) parameter->initialize(3, 0.3);
  }
  /// Hidden states of a layer, [T][H].
  std::vector<std::vector<double>> states(int64_t layer) const {
    std::vector<std::vector<double>> rows;
    ForwardContext context;
    bert_.visit_layers(batch_, context, 4, [&](int64_t at, const Var& hidden) {
      if (at != layer) return;
      for (int64_t t = 0; t < batch_.tokens(); ++t) {
        const float* row = hidden.value().data<float>() + t * 8;
        rows.emplace_back(row, row + 8);
      }
    });
    return rows;
  }
  void expect_near(const std::string& pooling, size_t sequence, const std::vector<double>& expected) const {
    const Tensor vectors = sequence_vectors(bert_, batch_, parse_poolings(pooling));
    ASSERT_EQ(vectors.shape(), Shape({2, static_cast<int64_t>(expected.size())})) << pooling;
    for (size_t d = 0; d < expected.size(); ++d)
      EXPECT_NEAR(vectors.data<float>()[sequence * expected.size() + d], expected[d], 2e-6) << pooling << " " << d;
  }

  Bert bert_;
  RaggedBatch batch_ = make_ragged_batch({{2, 5, 6, 3}, {2, 7, 3}}, {});
};

std::vector<double> mean_of(const std::vector<std::vector<double>>& rows, size_t begin, size_t end) {
  std::vector<double> mean(8);
  for (size_t t = begin; t < end; ++t)
    for (size_t h = 0; h < 8; ++h) mean[h] += rows[t][h] / static_cast<double>(end - begin);
  return mean;
}

TEST(PoolingNames, ReadBackAsWritten) {
  for (const char* name : {"cls", "pooler", "mean", "max", "sum", "first-last", "last4-mean", "last4-concat", "layer=0",
                           "cls@layer=12", "max@last4-mean", "sum@first-last"})
    EXPECT_EQ(Pooling::parse(name).text(), name);
  EXPECT_EQ(Pooling::parse("last").text(), "mean");
  EXPECT_EQ(Pooling::parse("mean@layer=3"), Pooling::parse("layer=3"));
  EXPECT_EQ(poolings_text(parse_poolings("cls,mean,layer=1")), "cls,mean,layer=1");
}

TEST(PoolingNames, WrongOnesAreRefusedWithTheRightOnes) {
  EXPECT_THAT(error_of([] { Pooling::parse("meen"); }), HasSubstr("did you mean mean?"));
  for (const char* name : {"", "layer=", "layer=x", "layer=-1", "layer=1x", "layer=99999999999999999999", "cls@",
                           "cls@mean", "@layer=1", "cls@layer=1@x"})
    EXPECT_THAT(error_of([&] { Pooling::parse(name); }), HasSubstr("unknown pooling")) << name;
  EXPECT_THAT(error_of([] { Pooling::parse("pooler@layer=1"); }), HasSubstr("last layer"));
  EXPECT_THAT(error_of([] { parse_poolings("mean,,cls"); }), HasSubstr("unknown pooling \"\""));
}

TEST(PoolingNames, TheModelMustHaveTheLayers) {
  EXPECT_THAT(error_of([] { check_poolings(parse_poolings("layer=5"), small_config(4)); }),
              HasSubstr("0 (embeddings) to 4"));
  EXPECT_THAT(error_of([] { check_poolings(parse_poolings("last4-mean"), small_config(3)); }),
              HasSubstr("3 layers only"));
  EXPECT_THAT(error_of([] { check_poolings(parse_poolings("cls,mean,cls"), small_config(3)); }), HasSubstr("twice"));
  check_poolings(parse_poolings("layer=4,last4-concat"), small_config(4));
  EXPECT_EQ(vector_width(parse_poolings("cls,last4-concat"), small_config(4)), 40);
}

TEST_F(PoolingVectors, OfTheLastLayer) {
  const auto last = states(4);
  expect_near("cls", 1, last[4]);
  expect_near("mean", 0, mean_of(last, 0, 4));
  std::vector<double> sum = mean_of(last, 4, 7), most = last[4];
  for (size_t h = 0; h < 8; ++h) {
    sum[h] *= 3;
    most[h] = std::max({last[4][h], last[5][h], last[6][h]});
  }
  expect_near("sum", 1, sum);
  expect_near("max", 1, most);
  ForwardContext context;
  const Tensor pooled = bert_.pooled(bert_.forward(batch_, context), batch_).value();
  expect_near("pooler", 1, {pooled.data<float>() + 8, pooled.data<float>() + 16});
}

TEST_F(PoolingVectors, OfSeveralLayers) {
  expect_near("layer=2", 0, mean_of(states(2), 0, 4));
  expect_near("cls@layer=0", 0, states(0)[0]);
  std::vector<double> first_last(8), four(8), joined;
  for (const int64_t layer : {0, 4})
    for (size_t h = 0; h < 8; ++h) first_last[h] += mean_of(states(layer), 4, 7)[h] / 2;
  for (int64_t layer = 1; layer <= 4; ++layer) {
    const std::vector<double> mean = mean_of(states(layer), 4, 7);
    for (size_t h = 0; h < 8; ++h) four[h] += mean[h] / 4;
    joined.insert(joined.end(), mean.begin(), mean.end());
  }
  expect_near("first-last", 1, first_last);
  expect_near("last4-mean", 1, four);
  expect_near("last4-concat", 1, joined);
  std::vector<double> both = states(4)[4];
  both.insert(both.end(), first_last.begin(), first_last.end());
  expect_near("cls,first-last", 1, both);
}

TEST_F(PoolingVectors, DoNotDependOnTheOtherSequences) {
  const RaggedBatch alone = make_ragged_batch({{2, 7, 3}}, {});
  for (const char* name : {"cls", "pooler", "mean", "max", "sum", "first-last", "last4-mean", "last4-concat"}) {
    const Poolings poolings = parse_poolings(name);
    const Tensor both = sequence_vectors(bert_, batch_, poolings), one = sequence_vectors(bert_, alone, poolings);
    EXPECT_TRUE(std::ranges::equal(both.rows(1, 2).values<float>(), one.values<float>())) << name;
  }
}

TEST_F(PoolingVectors, OfTokens) {
  const Tensor four = token_vectors(bert_, batch_, Pooling::parse("last4-concat"));
  ASSERT_EQ(four.shape(), Shape({7, 32}));
  for (size_t h = 0; h < 8; ++h) {
    EXPECT_NEAR(four.data<float>()[5 * 32 + h], states(1)[5][h], 1e-6);
    EXPECT_NEAR(four.data<float>()[5 * 32 + 24 + h], states(4)[5][h], 1e-6);
  }
}

}  // namespace
}  // namespace cloze
