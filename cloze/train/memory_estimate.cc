#include "cloze/train/memory_estimate.h"

#include <algorithm>

#include "cloze/optim/adamw.h"
#include "cloze/train/sampler.h"
#include "cloze/train/tuning.h"

namespace cloze {
namespace {

std::string megabytes(int64_t bytes) {
  const double mb = static_cast<double>(bytes) / 1e6;
  if (mb >= 1000) return fmt::format("{:.1f} GB", mb / 1000);
  return fmt::format("{:.{}f} MB", mb, mb < 10 ? 1 : 0);
}

}  // namespace

MemoryEstimate estimate_memory(TrainingTask& task, const TrainOptions& options) {
  MemoryEstimate estimate;
  const auto bytes = [](const ParameterList& list) {
    return count_elements(list) * static_cast<int64_t>(sizeof(float));
  };
  const ParameterList all = all_parameters(task);
  const int64_t trained = bytes(trained_of(all));
  estimate.parameters = bytes(all);
  estimate.moments = parse_moment_type(options.optimizer_state) == MomentType::kBF16 ? trained : 2 * trained;
  if (options.tuning.ema > 0) estimate.moments += trained;
  if (options.tuning.start_decay > 0) estimate.moments += trained;
  std::vector<int64_t> order;
  if (task.endless())
    order.assign(static_cast<size_t>(options.batch_size), 0);
  else
    order = epoch_order(task, options, 0);
  const size_t batch = static_cast<size_t>(options.batch_size);
  int64_t tokens_in_all = 0;
  for (size_t begin = 0; begin < order.size(); begin += batch) {
    int64_t tokens = 0;
    for (size_t i = begin; i < std::min(order.size(), begin + batch); ++i) tokens += task.tokens(order[i]);
    estimate.largest_batch_tokens = std::max(estimate.largest_batch_tokens, tokens);
    tokens_in_all += tokens;
  }
  estimate.gradients = task.gradient_bytes(estimate.largest_batch_tokens * options.gradient_accumulation);
  estimate.gradients += estimate.parameters - bytes(task.parameters());
  estimate.activations = task.activation_bytes(estimate.largest_batch_tokens, options.activations());
  constexpr int64_t kRowBytes = 100;    // two vectors and what the heap adds
  if (task.endless()) return estimate;  // its rows are made as they are needed
  estimate.rows = tokens_in_all * 2 * static_cast<int64_t>(sizeof(int32_t)) + task.rows() * kRowBytes;
  return estimate;
}

std::string describe(const MemoryEstimate& e, int64_t available_bytes) {
  std::string text =
      fmt::format("memory: about {} (parameters {}, gradients {}, optimizer {}, activations {} for {} tokens, rows {})",
                  megabytes(e.total()), megabytes(e.parameters), megabytes(e.gradients), megabytes(e.moments),
                  megabytes(e.activations), e.largest_batch_tokens, megabytes(e.rows));
  if (available_bytes > 0 && e.total() > available_bytes)
    text += fmt::format(
        "\nWARNING: only {} are available: the run may be killed. Lower --batch-size (and raise "
        "--gradient-accumulation), --max-length, or the model's size",
        megabytes(available_bytes));
  return text;
}

}  // namespace cloze
