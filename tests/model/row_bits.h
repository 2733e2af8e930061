// What holds for every model that computes: a text's result is the same bits alone, in any batch, in any order and with
// any number of threads.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "cloze/base/thread_team.h"
#include "tests/model/model_testing.h"

namespace cloze::test {

class ThreadCount {
 public:
  explicit ThreadCount(int threads) { set_thread_count(threads); }
  ~ThreadCount() { set_thread_count(0); }
};

/// What `results_of` gives for each row of a batch, as bits, from batches of `batch_rows` rows taken in `order`.
template <class ResultsOf>
std::vector<std::string> run_in_batches(const ResultsOf& results_of, const Rows& rows, const std::vector<size_t>& order,
                                        size_t batch_rows) {
  const NoGrad no_grad;
  std::vector<std::string> results(rows.size());
  for (size_t begin = 0; begin < order.size(); begin += batch_rows) {
    const size_t end = std::min(order.size(), begin + batch_rows);
    Rows batch_ids;
    for (size_t i = begin; i < end; ++i) batch_ids.push_back(rows[order[i]]);
    const std::vector<std::string> found = results_of(make_ragged_batch(batch_ids, {}));
    for (size_t i = begin; i < end; ++i) results[order[i]] = found[i - begin];
  }
  return results;
}

inline void expect_same(const std::vector<std::string>& found, const std::vector<std::string>& expected,
                        const Rows& rows, const std::string& how) {
  size_t different = 0, first = 0;
  for (size_t i = rows.size(); i-- > 0;) {
    if (found[i] == expected[i]) continue;
    ++different;
    first = i;
  }
  EXPECT_EQ(different, 0u) << how << ": the first of them has " << rows[first].size() << " tokens";
}

/// `results_of` gives for a RaggedBatch a string a row.
template <class ResultsOf>
std::vector<std::string> alone_on_one_thread(const ResultsOf& results_of, const Rows& rows) {
  const ThreadCount one(1);
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<std::string> alone = run_in_batches(results_of, rows, order, 1);
  EXPECT_NE(alone[0].substr(0, 12), alone[1].substr(0, 12)) << "rows must differ, else nothing is tested";
  return alone;
}

template <class ResultsOf>
void expect_the_bits_of(const std::vector<std::string>& alone, const ResultsOf& results_of, const Rows& rows,
                        const std::vector<int>& threads, const std::string& what) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<size_t> reversed(order.rbegin(), order.rend()), shuffled = order;
  Rng rng(9, RandomStream::kTest);
  for (size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[rng.below(i)]);
  for (const int count : threads) {
    const ThreadCount scope(count);
    const std::string how = fmt::format("{}, {} threads, ", what, count);
    expect_same(run_in_batches(results_of, rows, order, 1), alone, rows, how + "alone");
    expect_same(run_in_batches(results_of, rows, order, rows.size()), alone, rows, how + "one batch");
    expect_same(run_in_batches(results_of, rows, reversed, rows.size()), alone, rows, how + "one batch, reversed");
    expect_same(run_in_batches(results_of, rows, shuffled, 5), alone, rows, how + "batches of 5, shuffled");
  }
}

/// The pooler's vector of each row, as bits.
inline std::vector<std::string> pooled_of(const Bert& bert, const RaggedBatch& batch) {
  ForwardContext context;
  const Var pooled = bert.pooled_only(batch, context);
  std::vector<std::string> vectors;
  for (int64_t row = 0; row + 1 < batch.offsets.elements(); ++row)
    vectors.push_back(bits_of(pooled.value().rows(row, row + 1)));
  return vectors;
}

/// Every hidden state of each row, as bits.
inline std::vector<std::string> states_of(const Bert& bert, const RaggedBatch& batch) {
  ForwardContext context;
  const Var hidden = bert.forward(batch, context);
  const int32_t* offsets = batch.offsets.data<int32_t>();
  std::vector<std::string> states;
  for (int64_t row = 0; row + 1 < batch.offsets.elements(); ++row)
    states.push_back(bits_of(hidden.value().rows(offsets[row], offsets[row + 1])));
  return states;
}

}  // namespace cloze::test
