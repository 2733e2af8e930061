#include "cloze/train/sampler.h"

#include <algorithm>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/base/rng.h"

namespace cloze {

Batching parse_batching(const std::string& name) {
  if (name == "shuffled") return Batching::kShuffled;
  CLOZE_CHECK(name == "by-length", ErrorCode::kUsage, "--batching must be shuffled or by-length, got \"{}\"", name);
  return Batching::kByLength;
}

namespace {

std::vector<int64_t> permutation(int64_t count, Rng rng) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

}  // namespace

std::vector<int64_t> shuffled_rows(int64_t rows, uint64_t seed, int64_t epoch) {
  return permutation(rows, Rng(seed, RandomStream::kShuffle, static_cast<uint32_t>(epoch)));
}

std::vector<int64_t> rows_by_length(int64_t rows, int64_t batch, uint64_t seed, int64_t epoch,
                                    const std::function<int64_t(int64_t)>& length) {
  constexpr int64_t kPoolBatches = 50;
  const std::vector<int64_t> whole = shuffled_rows(rows, seed, epoch);
  // The rows that make no whole batch are those that the shuffle put last.
  const int64_t batches = rows / batch;
  std::vector<int64_t> pooled(whole);
  for (int64_t begin = 0; begin < batches * batch; begin += kPoolBatches * batch) {
    const int64_t end = std::min(batches * batch, begin + kPoolBatches * batch);
    std::stable_sort(pooled.begin() + begin, pooled.begin() + end,
                     [&](int64_t a, int64_t b) { return length(a) < length(b); });
  }
  const std::vector<int64_t> places =
      permutation(batches, Rng(seed, RandomStream::kShuffleBatches, static_cast<uint32_t>(epoch)));
  std::vector<int64_t> order;
  order.reserve(whole.size());
  for (const int64_t place : places)
    order.insert(order.end(), pooled.begin() + place * batch, pooled.begin() + (place + 1) * batch);
  order.insert(order.end(), pooled.begin() + batches * batch, pooled.end());
  return order;
}

std::vector<int64_t> epoch_order(const TrainingTask& task, const TrainOptions& options, int64_t epoch) {
  const uint64_t seed = static_cast<uint64_t>(options.seed);
  if (parse_batching(options.batching) == Batching::kShuffled) return shuffled_rows(task.rows(), seed, epoch);
  return rows_by_length(task.rows(), options.batch_size, seed, epoch, [&](int64_t row) { return task.tokens(row); });
}

}  // namespace cloze
