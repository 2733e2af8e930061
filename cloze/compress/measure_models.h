// Models of folders, as they are, against the clock and side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

/// Rows of so many tokens, `batch` at a time.
struct Workload {
  std::vector<int64_t> lengths;
  int64_t batch = 1;
};

/// Seconds that each model takes for each workload, the least of `runs`, all in turns so that a noisy moment hits none
/// alone: seconds[model][workload]. What is stored in 8 bits runs so. Rows are of random pieces, cut to what a model
/// takes; heads are not counted. Errors: those of loading.
std::vector<std::vector<double>> time_models(std::span<const Path> models, std::span<const Workload> workloads,
                                             int64_t runs);

/// How many times as fast `after` is as `before`: see times_as_fast(). Errors: those of loading.
double time_beside(const Path& before, const Path& after, const Workload& workload, int64_t runs);

/// Whether inference reads each row's first token alone, as a pooler does, so that time_models() counts it so.
bool has_pooler(const Path& model);

/// Numbers of all tensors, and bytes of the files they stand in.
struct ModelSize {
  int64_t parameters, bytes;
};
ModelSize model_size(const Path& folder);

}  // namespace cloze
