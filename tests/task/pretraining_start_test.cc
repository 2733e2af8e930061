// What weights that start from counts know.
#include "cloze/task/pretraining_start.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/rng.h"
#include "cloze/data/token_cache.h"
#include "cloze/model/pretraining_model.h"

namespace cloze {
namespace {

constexpr int64_t kHidden = 128, kHeads = 4, kWidth = kHidden / kHeads, kVocabulary = 90, kLength = 120;

/// A model of words in three groups of 30, of which only words of one group ever stand together; 0 and 30 never do.
class PretrainingStartTest : public ::testing::Test {
 protected:
  PretrainingStartTest() : config_(make_config()), model_(config_, {}) {
    model_.collect(list_);
    for (Parameter* parameter : list_) parameter->initialize(1, config_.initializer_range);
    Rng rng(1, RandomStream::kTest);
    std::vector<uint32_t> tokens;
    for (int document = 0; document < 600; ++document) {
      const uint64_t group = rng.below(3);
      for (int i = 0; i < 30; ++i) {
        const uint64_t word = group * 30 + rng.below(30);
        tokens.push_back(static_cast<uint32_t>(word % 30 == 0 && group < 2 ? word + 1 : word));
      }
      tokens.back() |= CachedToken::kEndsDocument;
    }
    const WeightedTokens text{tokens, 1};
    counts_ = count_cooccurrence({&text, 1}, {.vocabulary = kVocabulary});
    frequency_ = counts_.frequency;
    start_from_counts(list_, config_, std::move(counts_), 1);
  }

  static BertConfig make_config() {
    BertConfig config = BertConfig::preset("tiny");
    config.vocab_size = kVocabulary;
    config.hidden_size = kHidden;
    config.num_attention_heads = kHeads;
    config.num_hidden_layers = 3;
    return config;
  }

  const float* values(const std::string& name) const {
    const auto found = std::ranges::find(list_, name, [](const Parameter* p) { return p->name; });
    return (*found)->var.value().data<float>();
  }
  std::vector<float> word(int64_t w) const {
    const float* row = values("bert.embeddings.word_embeddings.weight") + w * kHidden;
    return {row, row + kHidden};
  }
  /// Softmax of a head's scores for a text of random words, averaged over its inner tokens, by distance -3 … 3.
  std::vector<double> looks(int64_t layer, int64_t head) const;

  BertConfig config_;
  PretrainingModel model_;
  ParameterList list_;
  Cooccurrence counts_;
  std::vector<double> frequency_;
};

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const auto dot = [](const auto& x, const auto& y) { return std::inner_product(x.begin(), x.end(), y.begin(), 0.0); };
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

std::vector<double> PretrainingStartTest::looks(int64_t layer, int64_t head) const {
  std::vector<std::vector<double>> inputs;
  Rng rng(2, RandomStream::kTest);
  for (int64_t p = 0; p < kLength; ++p) {
    const std::vector<float> text = word(static_cast<int64_t>(rng.below(kVocabulary)));
    std::vector<double> x(kHidden);
    for (int64_t i = 0; i < kHidden; ++i)
      x[i] = text[i] + values("bert.embeddings.position_embeddings.weight")[p * kHidden + i] +
             values("bert.embeddings.token_type_embeddings.weight")[i];
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / kHidden;
    double square = 0;
    for (double& value : x) {
      value -= mean;
      square += value * value;
    }
    for (double& value : x) value /= std::sqrt(square / kHidden);
    inputs.push_back(x);
  }
  const std::string name = "bert.encoder.layer." + std::to_string(layer) + ".attention.self.";
  const auto project = [&](const std::string& side) {
    const float* rows = values(name + side + ".weight") + head * kWidth * kHidden;
    std::vector<std::vector<double>> all;
    for (const auto& x : inputs) {
      std::vector<double>& y = all.emplace_back();
      for (int64_t i = 0; i < kWidth; ++i) y.push_back(std::inner_product(x.begin(), x.end(), rows + i * kHidden, 0.0));
    }
    return all;
  };
  const auto queries = project("query"), keys = project("key");
  std::vector<double> found(7, 0.0);
  for (int64_t p = 3; p < kLength - 3; ++p) {
    std::vector<double> weights;
    for (const auto& key : keys)
      weights.push_back(
          std::exp(std::inner_product(key.begin(), key.end(), queries[p].begin(), 0.0) / std::sqrt(1.0 * kWidth)));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (int64_t d = -3; d <= 3; ++d) found[d + 3] += weights[p + d] / sum / (kLength - 6);
  }
  return found;
}

TEST_F(PretrainingStartTest, WordsThatStandTogetherAreNear) {
  double within = 0, across = 0;
  for (int64_t a = 1; a < 29; ++a) {
    within += cosine(word(a), word(a + 1)) / 28;
    across += cosine(word(a), word(a + 31)) / 28;
  }
  EXPECT_GT(within, across + 0.3);
  double square = 0;
  for (const float x : word(7)) square += static_cast<double>(x) * x;
  EXPECT_NEAR(square, kHidden * 0.04 * 0.04, 0.35 * kHidden * 0.04 * 0.04) << "about as long as random ones";
}

TEST_F(PretrainingStartTest, WordsThatNeverStandAnywhereStayRandom) {
  EXPECT_LT(std::abs(cosine(word(0), word(30))), 0.4);
  double square = 0;
  for (const float x : word(0)) square += static_cast<double>(x) * x;
  EXPECT_NEAR(square, kHidden * 0.04 * 0.04, 0.4 * kHidden * 0.04 * 0.04);
}

TEST_F(PretrainingStartTest, TheBiasIsTheLogFrequency) {
  const double total = 600 * 30 + kVocabulary;
  for (const int64_t w : {0, 1, 45, 89})
    EXPECT_NEAR(values("cls.predictions.bias")[w], std::log((frequency_[w] + 1) / total), 1e-5) << w;
  EXPECT_EQ(frequency_[0], 0);
  EXPECT_GT(frequency_[1], frequency_[2]);
}

TEST_F(PretrainingStartTest, HalfOfTheHeadsOfTheFirstLayersLookAtNeighbours) {
  for (const int64_t layer : {0, 1}) {
    const std::vector<double> before = looks(layer, 0), after = looks(layer, 1);
    for (int64_t d = -3; d <= 3; ++d) {
      EXPECT_TRUE(d == -1 ? before[d + 3] > 0.1 : before[d + 3] < 0.05) << layer << " " << d << " " << before[d + 3];
      EXPECT_TRUE(d == 1 ? after[d + 3] > 0.1 : after[d + 3] < 0.05) << layer << " " << d << " " << after[d + 3];
    }
    for (const int64_t head : {2, 3})
      for (const double share : looks(layer, head)) EXPECT_LT(share, 0.05);
  }
  for (const double share : looks(2, 0)) EXPECT_LT(share, 0.05) << "the last layer has none";
}

TEST_F(PretrainingStartTest, HasTheSameBitsAgain) {
  PretrainingModel other(config_, {});
  ParameterList list;
  other.collect(list);
  for (Parameter* parameter : list) parameter->initialize(1, config_.initializer_range);
  Cooccurrence counts{frequency_, Tensor::full({kVocabulary, 20}, DType::kF32, 1.0)};
  Cooccurrence same{frequency_, Tensor::full({kVocabulary, 20}, DType::kF32, 1.0)};
  start_from_counts(list, config_, std::move(counts), 7);
  start_from_counts(list_, config_, std::move(same), 7);
  for (size_t i = 0; i < list.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(list[i]->var.value().values<float>(), list_[i]->var.value().values<float>()))
        << list[i]->name;
}

}  // namespace
}  // namespace cloze
