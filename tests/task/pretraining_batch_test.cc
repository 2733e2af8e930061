// Masked rows and how they are joined.
#include "cloze/task/pretraining_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloze {
namespace {

using testing::ElementsAre;

Tokenizer letter_tokenizer() {
  return Tokenizer::from_vocabulary(Vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d"}));
}

std::vector<int32_t> values(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype(), DType::kI32);
  const auto span = tensor.values<int32_t>();
  return {span.begin(), span.end()};
}

PretrainingRow pretraining_row(std::vector<int32_t> ids, std::vector<int32_t> segments, int32_t label, size_t source) {
  PretrainingRow result;
  result.begins_word.assign(ids.size(), 1);
  result.ids = std::move(ids);
  result.segments = std::move(segments);
  result.label = label;
  result.source = source;
  return result;
}

TEST(JoinRows, LiteralBatch) {
  const std::vector<MaskedRow> rows = {
      {pretraining_row({2, 4, 6, 3, 4, 3}, {0, 0, 0, 0, 1, 1}, 1, 7), {1, 4}, {5, 8}},
      {pretraining_row({2, 1, 3}, {0, 0, 0}, 0, 0), {}, {}},  // nothing to predict
      {pretraining_row({2, 5, 6, 4, 3}, {0, 0, 0, 0, 0}, -1, 2), {3}, {7}},
  };
  const PretrainingBatch batch = join_rows(rows);
  EXPECT_THAT(values(batch.tokens.ids), ElementsAre(2, 4, 6, 3, 4, 3, 2, 1, 3, 2, 5, 6, 4, 3));
  EXPECT_THAT(values(batch.tokens.offsets), ElementsAre(0, 6, 9, 14));
  EXPECT_THAT(values(batch.tokens.segments), ElementsAre(0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(values(batch.picked.rows), ElementsAre(0, 1, 4, 6, 9, 12));
  EXPECT_THAT(values(batch.picked.offsets), ElementsAre(0, 3, 4, 6));
  EXPECT_THAT(values(batch.first), ElementsAre(0, 3, 4));
  EXPECT_THAT(values(batch.masked), ElementsAre(1, 2, 5));
  EXPECT_THAT(values(batch.targets), ElementsAre(5, 8, 7));
  EXPECT_THAT(values(batch.labels), ElementsAre(1, 0, -1));
  EXPECT_THAT(batch.sources, ElementsAre(7, 0, 2));
}

TEST(MaskRow, DependsOnSeedAndNumberAlone) {
  const Masker masker(letter_tokenizer(), {.rate = 0.5});
  std::vector<int32_t> ids = {2};
  for (int i = 0; i < 60; ++i) ids.push_back(5 + i % 4);
  ids.push_back(3);
  const PretrainingRow whole = pretraining_row(ids, std::vector<int32_t>(ids.size(), 0), 0, 0);
  const MaskedRow first = mask_row(whole, masker, 1, 10);
  EXPECT_EQ(first.positions.size(), 30u);
  for (size_t i = 0; i < first.positions.size(); ++i)
    EXPECT_EQ(first.targets[i], ids[static_cast<size_t>(first.positions[i])]);
  EXPECT_GT(first.positions.front(), 0) << "[CLS]";
  mask_row(whole, masker, 5, 99);
  const MaskedRow again = mask_row(whole, masker, 1, 10);
  EXPECT_EQ(again.row.ids, first.row.ids);
  EXPECT_EQ(again.positions, first.positions);
  EXPECT_NE(mask_row(whole, masker, 1, 11).positions, first.positions);
  EXPECT_NE(mask_row(whole, masker, 2, 10).positions, first.positions);
}

}  // namespace
}  // namespace cloze
