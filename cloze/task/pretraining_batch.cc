#include "cloze/task/pretraining_batch.h"

namespace cloze {

MaskedRow mask_row(PretrainingRow row, const Masker& masker, uint64_t seed, int64_t number) {
  const auto words = philox(seed, static_cast<uint32_t>(RandomStream::kMask), 0, static_cast<uint64_t>(number));
  Rng random(uint64_t{words[0]} << 32 | words[1], RandomStream::kMask, 1);
  MaskedRow result{.row = std::move(row), .positions = {}, .targets = {}};
  masker.mask(result.row.ids, result.row.begins_word, random, result.positions, result.targets);
  return result;
}

PretrainingBatch join_rows(const std::vector<MaskedRow>& rows) {
  std::vector<std::vector<int32_t>> ids, segments;
  std::vector<int32_t> picked, offsets = {0}, masked, first, targets, labels;
  PretrainingBatch batch;
  int32_t begin = 0;
  for (const MaskedRow& row : rows) {
    ids.push_back(row.row.ids);
    segments.push_back(row.row.segments);
    // The first token is [CLS], which is never masked.
    first.push_back(static_cast<int32_t>(picked.size()));
    picked.push_back(begin);
    for (const int32_t position : row.positions) {
      masked.push_back(static_cast<int32_t>(picked.size()));
      picked.push_back(begin + position);
    }
    offsets.push_back(static_cast<int32_t>(picked.size()));
    targets.insert(targets.end(), row.targets.begin(), row.targets.end());
    labels.push_back(row.row.label);
    batch.sources.push_back(row.row.source);
    begin += static_cast<int32_t>(row.row.ids.size());
  }
  const auto tensor = [](const std::vector<int32_t>& values) {
    return Tensor::of(Shape({static_cast<int64_t>(values.size())}), values);
  };
  batch.tokens = make_ragged_batch(ids, segments);
  batch.picked = {tensor(picked), tensor(offsets)};
  batch.masked = tensor(masked);
  batch.first = tensor(first);
  batch.targets = tensor(targets);
  batch.labels = tensor(labels);
  return batch;
}

}  // namespace cloze
