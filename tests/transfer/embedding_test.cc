// Vectors of texts, tokens and words; attention maps.
#include "cloze/transfer/embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cloze/base/json.h"
#include "cloze/transfer/attention_maps.h"
#include "tests/base/temporary.h"
#include "tests/task/small_pretrained.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;

TextExample text_row(std::string text, std::optional<std::string> pair = std::nullopt) {
  TextExample example;
  example.text = std::move(text);
  example.text_pair = std::move(pair);
  return example;
}

class EmbeddingTest : public testing::Test {
 protected:
  EmbeddingTest() {
    test::SmallPretrained small;
    for (const char* piece : {"同", "步", "难", "##ing"}) small.pieces.emplace_back(piece);
    test::write_pretrained(folder_.path(), small);
  }
  std::unique_ptr<FrozenEncoder> load(const char* poolings = "mean", const LengthOptions& lengths = {}) const {
    return load_frozen_encoder(ModelFiles::open(folder_.path()), parse_poolings(poolings), lengths);
  }
  static EmbeddingOptions units(Unit unit, const char* pooling = "mean") {
    EmbeddingOptions options;
    options.unit = unit;
    options.poolings = parse_poolings(pooling);
    return options;
  }
  static std::vector<std::string> texts(const EmbeddedRows& rows) {
    std::vector<std::string> names;
    for (const UnitPlace& place : rows.places) names.push_back(place.text);
    return names;
  }
  /// The hidden state of token t of the last layer.
  static std::vector<float> state(const FrozenEncoder& encoder, const TextExample& example, int64_t t) {
    const EncodedRows encoded = encode_rows(encoder.tokenizer, {&example, 1}, encoder.limits);
    const Tensor states = token_vectors(encoder.bert, join_sequences(encoded.sequences, 0, 1), Pooling());
    const auto values = states.rows(t, t + 1).values<float>();
    return {values.begin(), values.end()};
  }
  static std::vector<float> vector(const EmbeddedRows& rows, size_t at) {
    const auto values = rows.vectors.rows(static_cast<int64_t>(at), static_cast<int64_t>(at) + 1).values<float>();
    return {values.begin(), values.end()};
  }
  test::TemporaryFolder folder_;
};

TEST_F(EmbeddingTest, TextsOneByOneOrTogetherHaveTheSameBits) {
  const auto encoder = load("cls,mean");
  const std::vector<TextExample> rows = {text_row("the film is good"), text_row("bad", "film s x"), text_row("")};
  const EmbeddedRows all = embed_rows(*encoder, rows, units(Unit::kText, "cls,mean"));
  ASSERT_EQ(all.vectors.shape(), Shape({3, 32}));
  for (size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(vector(embed_rows(*encoder, {&rows[i], 1}, units(Unit::kText, "cls,mean")), 0), vector(all, i)) << i;
  EXPECT_THAT(all.tokens, testing::ElementsAre(6, 7, 2));
}

TEST_F(EmbeddingTest, TokensStandWhereTheyAre) {
  const auto encoder = load();
  const TextExample example = text_row("Good films", "x.");
  const EmbeddedRows rows = embed_rows(*encoder, {&example, 1}, units(Unit::kToken));
  EXPECT_THAT(texts(rows), testing::ElementsAre("good", "film", "##s", "x", "."));
  EXPECT_EQ(rows.places[2].offset, (TextSpan{9, 10}));
  EXPECT_FALSE(rows.places[2].in_second);
  EXPECT_EQ(rows.places[4].offset, (TextSpan{1, 2}));
  EXPECT_TRUE(rows.places[4].in_second);
  // [CLS] good film ##s [SEP] x . [SEP]
  EXPECT_EQ(vector(rows, 2), state(*encoder, example, 3));
  EXPECT_EQ(vector(rows, 3), state(*encoder, example, 5));
}

TEST_F(EmbeddingTest, WordsAreTheMeanOrTheSumOfTheirPieces) {
  const auto encoder = load();
  const TextExample example = text_row("films. 同步 难");
  EmbeddingOptions options = units(Unit::kWord);
  const EmbeddedRows means = embed_rows(*encoder, {&example, 1}, options);
  EXPECT_THAT(texts(means), testing::ElementsAre("films", ".", "同步", "难"));
  EXPECT_EQ(means.places[2].offset, (TextSpan{7, 9}));
  const std::vector<float> first = state(*encoder, example, 4), second = state(*encoder, example, 5);
  options.word_vector = WordVector::kSum;
  const EmbeddedRows sums = embed_rows(*encoder, {&example, 1}, options);
  for (size_t d = 0; d < first.size(); ++d) {
    EXPECT_NEAR(vector(means, 2)[d], (first[d] + second[d]) / 2, 1e-6);
    EXPECT_NEAR(vector(sums, 2)[d], first[d] + second[d], 1e-6);
  }
}

TEST_F(EmbeddingTest, APieceInTwoWindowsHasTheirMean) {
  const auto encoder = load("mean", {.max_length = 8, .long_texts = "window", .stride = 1});
  const TextExample example = text_row("the film is good . x bad");
  const EmbeddedRows rows = embed_rows(*encoder, {&example, 1}, units(Unit::kToken));
  EXPECT_THAT(texts(rows), testing::ElementsAre("the", "film", "is", "good", ".", "x", "bad"));
  const auto whole = load();
  const TextExample left = text_row("the film is good . x"), right = text_row("x bad");
  const std::vector<float> a = state(*whole, left, 6), b = state(*whole, right, 1);
  for (size_t d = 0; d < a.size(); ++d) EXPECT_NEAR(vector(rows, 5)[d], (a[d] + b[d]) / 2, 1e-6);
  EXPECT_EQ(rows.windows[0], 2);
}

TEST_F(EmbeddingTest, CutPiecesHaveNoVectorAndAreCounted) {
  const auto encoder = load("mean", {.max_length = 4});
  const std::vector<TextExample> examples = {text_row("the film is good"), text_row("")};
  const EmbeddedRows rows = embed_rows(*encoder, examples, units(Unit::kWord));
  EXPECT_THAT(texts(rows), testing::ElementsAre("the", "film"));
  EXPECT_THAT(rows.truncated, testing::ElementsAre(2, 0));
  EXPECT_THAT(embedding_lines(rows, LineVectors::kWithout),
              testing::ElementsAre(R"({"units": [{"text": "the", "in": "text", "offset": [0, 3]}, {"text": "film", )"
                                   R"("in": "text", "offset": [4, 8]}], "tokens": 4, "windows": 1, "truncated": 2})",
                                   R"({"units": [], "tokens": 2, "windows": 1, "truncated": 0})"));
}

TEST_F(EmbeddingTest, LinesHoldTheVectors) {
  const auto encoder = load();
  const TextExample example = text_row("good");
  const EmbeddedRows rows = embed_rows(*encoder, {&example, 1}, units(Unit::kText));
  const Json line = Json::parse(embedding_lines(rows)[0]);
  EXPECT_EQ(line["vector"].get<std::vector<float>>(), vector(rows, 0));
  EXPECT_EQ(line["tokens"], 3);
}

TEST_F(EmbeddingTest, WhatCannotBeIsRefused) {
  const auto encoder = load();
  const TextExample example = text_row("good");
  EXPECT_THAT(error_of([&] {
                embed_rows(*encoder, {&example, 1}, units(Unit::kWord, "cls"));
              }),
              HasSubstr("only layers can be chosen"));
  EXPECT_THAT(error_of([&] { load("layer=3"); }), HasSubstr("0 (embeddings) to 2"));
  EXPECT_THAT(error_of([] { parse_unit("words"); }), HasSubstr("did you mean word?"));
  EXPECT_THAT(error_of([] { parse_word_vector("max"); }), HasSubstr("mean or sum"));
  test::SmallPretrained small;
  small.heads = {.masked_words = true, .next_sentence = false};
  const test::TemporaryFolder folder;
  test::write_pretrained(folder.path(), small);
  EXPECT_THAT(error_of([&] { load_frozen_encoder(ModelFiles::open(folder.path()), parse_poolings("pooler"), {}); }),
              HasSubstr("has no pooler"));
}

TEST_F(EmbeddingTest, NormalizedRowsHaveLengthOne) {
  const Tensor x = Tensor::of(Shape({2, 2}), std::vector<float>{3, -4, 0, 0});
  normalize_rows(x);
  EXPECT_THAT(x.values<float>(), testing::ElementsAre(0.6F, -0.8F, 0, 0));
}

TEST_F(EmbeddingTest, AttentionMapsAreWhatTheEncoderWeighsWith) {
  const auto encoder = load();
  const TextExample example = text_row("the film", "is good");
  const std::vector<AttentionMaps> all = attention_maps(*encoder, example);
  ASSERT_EQ(all.size(), 1u);
  const AttentionMaps& maps = all[0];
  EXPECT_THAT(maps.tokens, testing::ElementsAre("[CLS]", "the", "film", "[SEP]", "is", "good", "[SEP]"));
  EXPECT_THAT(maps.segments, testing::ElementsAre(0, 0, 0, 0, 1, 1, 1));
  ASSERT_EQ(maps.layers.size(), 2u);
  // Attention with the rows of an identity as values gives its probabilities: head n mixes columns 8n to 8n+7.
  const NoGrad quiet;
  const EncodedRows encoded = encode_rows(encoder->tokenizer, {&example, 1}, encoder->limits);
  const RaggedBatch batch = join_sequences(encoded.sequences, 0, 1);
  const Tensor identity = Tensor::zeros({7, 16}, DType::kF32);
  for (int64_t s = 0; s < 7; ++s) identity.data<float>()[s * 16 + s] = identity.data<float>()[s * 16 + 8 + s] = 1;
  ForwardContext context;
  encoder->bert.visit_layers(batch, context, 1, [&](int64_t layer, const Var& hidden) {
    const Var qk = encoder->bert.layers()[static_cast<size_t>(layer)].queries_and_keys(hidden);
    const Tensor mixed = attention({qk, 0}, {qk, 16}, {Var(identity), 0}, 16, batch.offsets, {}, 2, {}).value();
    for (int64_t head = 0; head < 2; ++head)
      for (int64_t from = 0; from < 7; ++from)
        for (int64_t to = 0; to < 7; ++to)
          EXPECT_NEAR(maps.layers[static_cast<size_t>(layer)].data<float>()[(head * 7 + from) * 7 + to],
                      mixed.data<float>()[from * 16 + head * 8 + to], 1e-6);
  });
  const Json line = Json::parse(attention_line(maps));
  EXPECT_EQ(line["attention"].size(), 2u);
  EXPECT_EQ(line["attention"][1][1][6].size(), 7u);
}

}  // namespace
}  // namespace cloze
