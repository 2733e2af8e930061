// A text's result is the same bits alone, in any batch, in any order and with any number of threads; and the same
// whether the weights were prepared for speed or not.
#include <algorithm>
#include <numeric>

#include "cloze/base/thread_team.h"
#include "tests/model/model_testing.h"

namespace cloze {
namespace {

using test::bits_of;
using test::Rows;

class ThreadCount {
 public:
  explicit ThreadCount(int threads) { set_thread_count(threads); }
  ~ThreadCount() { set_thread_count(0); }
};

struct Classifier {
  Bert bert;
  ClassifierHead head;

  explicit Classifier(const BertConfig& config) : bert(config, Pooler::kWith), head(config, 3) {
    ParameterList list;
    bert.collect(list);
    head.collect(list);
    for (Parameter* parameter : list) parameter->initialize(3, 0.05);
  }
  void freeze() {
    bert.freeze();
    head.freeze();
  }
};

/// The logits and every hidden state of each row, as bits, from batches of `batch_rows` rows taken in `order`.
std::vector<std::string> run(const Classifier& model, const Rows& rows, const std::vector<size_t>& order,
                             size_t batch_rows) {
  const NoGrad no_grad;
  std::vector<std::string> results(rows.size());
  for (size_t begin = 0; begin < order.size(); begin += batch_rows) {
    const size_t end = std::min(order.size(), begin + batch_rows);
    Rows batch_ids;
    for (size_t i = begin; i < end; ++i) batch_ids.push_back(rows[order[i]]);
    const RaggedBatch batch = make_ragged_batch(batch_ids, {});
    ForwardContext context;
    const Var hidden = model.bert.forward(batch, context);
    const Tensor logits = model.head.forward(model.bert.pooled_only(batch, context), context).value();
    const int32_t* offsets = batch.offsets.data<int32_t>();
    for (size_t i = begin; i < end; ++i) {
      const auto row = static_cast<int64_t>(i - begin);
      results[order[i]] =
          bits_of(logits.rows(row, row + 1)) + bits_of(hidden.value().rows(offsets[row], offsets[row + 1]));
    }
  }
  return results;
}

void expect_same(const std::vector<std::string>& found, const std::vector<std::string>& expected, const Rows& rows,
                 const std::string& how) {
  size_t different = 0, first = 0;
  for (size_t i = rows.size(); i-- > 0;) {
    if (found[i] == expected[i]) continue;
    ++different;
    first = i;
  }
  EXPECT_EQ(different, 0u) << how << ": the first of them has " << rows[first].size() << " tokens";
}

void check_rows(const BertConfig& config, const std::vector<int64_t>& lengths, const std::vector<int>& threads) {
  Classifier model(config);
  const Rows rows = test::random_rows(lengths, config.vocab_size);
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<size_t> reversed(order.rbegin(), order.rend()), shuffled = order;
  Rng rng(9, RandomStream::kTest);
  for (size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[rng.below(i)]);

  std::vector<std::string> alone;
  {
    const ThreadCount one(1);
    alone = run(model, rows, order, 1);
    EXPECT_NE(alone[0].substr(0, 12), alone[1].substr(0, 12)) << "rows must differ, else nothing is tested";
  }
  for (const bool frozen : {false, true}) {
    if (frozen) model.freeze();
    for (const int count : threads) {
      const ThreadCount scope(count);
      const std::string how = fmt::format("{}, {} threads, ", frozen ? "frozen" : "not frozen", count);
      expect_same(run(model, rows, order, 1), alone, rows, how + "alone");
      expect_same(run(model, rows, order, rows.size()), alone, rows, how + "one batch");
      expect_same(run(model, rows, reversed, rows.size()), alone, rows, how + "one batch, reversed");
      expect_same(run(model, rows, shuffled, 5), alone, rows, how + "batches of 5, shuffled");
    }
  }
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
