// A text's result is the same bits alone, in any batch, in any order and with any number of threads; and the same
// whether the weights were prepared for speed or not.
#include "tests/model/row_bits.h"

namespace cloze {
namespace {

void check_rows(const BertConfig& config, const std::vector<int64_t>& lengths, const std::vector<int>& threads) {
  Bert bert(config, Pooler::kWith);
  ClassifierHead head(config, 3);
  ParameterList list;
  bert.collect(list);
  head.collect(list);
  for (Parameter* parameter : list) parameter->initialize(3, 0.05);
  const auto results_of = [&](const RaggedBatch& batch) {
    ForwardContext context;
    const Tensor logits = head.forward(bert.pooled_only(batch, context), context).value();
    std::vector<std::string> states = test::states_of(bert, batch);
    for (size_t row = 0; row < states.size(); ++row)
      states[row] = test::bits_of(logits.rows(static_cast<int64_t>(row), static_cast<int64_t>(row) + 1)) + states[row];
    return states;
  };
  const test::Rows rows = test::random_rows(lengths, config.vocab_size);
  const std::vector<std::string> alone = test::alone_on_one_thread(results_of, rows);
  test::expect_the_bits_of(alone, results_of, rows, threads, "not frozen");
  bert.freeze();
  head.freeze();
  test::expect_the_bits_of(alone, results_of, rows, threads, "frozen");
}

TEST(RowBitsTest, AloneInAnyBatchOrderAndThreads) {
  std::vector<int64_t> lengths(34);
  std::iota(lengths.begin(), lengths.end(), 1);
  for (const int64_t n : {47, 48, 49, 63, 64, 65, 96, 127, 128, 129, 200, 256, 511, 512}) lengths.push_back(n);
  check_rows(test::small_config(2, 192, 3, 500), lengths, {1, 2, 3, 4});
}

TEST(RowBitsTest, OddSizes) {
  // Widths that fill no vector and no panel: 5 heads of 7, 37 vocabulary rows.
  BertConfig config = test::small_config(2, 35, 5, 37);
  config.intermediate_size = 61;
  check_rows(config, {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377}, {1, 3});
}

TEST(SlowRowBitsTest, EveryLength) {
  std::vector<int64_t> lengths(512);
  std::iota(lengths.begin(), lengths.end(), 1);
  check_rows(test::small_config(2, 192, 3, 500), lengths, {4});
}

TEST(SlowRowBitsTest, BertBase) {
  check_rows(test::small_config(12, 768, 12, 500), {1, 2, 7, 16, 33, 64, 130, 200, 512}, {2, 4});
}

}  // namespace
}  // namespace cloze
