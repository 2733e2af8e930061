// What a training run will take, told before it starts.
#pragma once

#include <cstdint>
#include <string>

#include "cloze/task/task.h"
#include "cloze/train/options.h"

namespace cloze {

/// Bytes. An estimate: the tests hold it within a quarter of what runs really take.
struct MemoryEstimate {
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t moments = 0;      ///< of the optimizer, with the average of the weights
  int64_t activations = 0;  ///< of the largest batch
  int64_t largest_batch_tokens = 0;
  int64_t rows = 0;  ///< the tokenized data
  int64_t total() const { return parameters + gradients + moments + activations + rows; }
};

/// The largest batch is that of the first epoch, in its order.
MemoryEstimate estimate_memory(TrainingTask& task, const TrainOptions& options);

/// "memory: about 1.2 GB (…)", and where that is more than `available_bytes` (0: unknown) a warning with what to do.
std::string describe(const MemoryEstimate& estimate, int64_t available_bytes);

}  // namespace cloze
