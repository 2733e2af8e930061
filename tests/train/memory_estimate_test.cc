#include "cloze/train/memory_estimate.h"

#include <gmock/gmock.h>

#include "cloze/base/memory.h"
#include "cloze/ops/var.h"
#include "cloze/optim/adamw.h"
#include "cloze/tensor/storage.h"
#include "cloze/train/sampler.h"

namespace cloze {
namespace {

struct Setting {
  int64_t layers, hidden, batch;
};

/// Highest use of tensor memory in an epoch of training, by the trainer's own steps.
int64_t measured(TrainingTask& task, const TrainOptions& options) {
  AdamW optimizer(task.parameters(), {.moments = parse_moment_type(options.optimizer_state)});
  reset_peak_memory();
  const std::vector<int64_t> order = epoch_order(task, options, 0);
  const size_t batch = static_cast<size_t>(options.batch_size);
  for (size_t begin = 0; begin < order.size(); begin += batch) {
    ForwardContext context = ForwardContext::training(1, begin, options.activations());
    backward(task.loss(std::span(order).subspan(begin, std::min(batch, order.size() - begin)), context));
    optimizer.step(1e-5, 1);
  }
  return memory_use().peak_bytes;
}

class MemoryEstimateOf : public testing::TestWithParam<Activations> {};
INSTANTIATE_TEST_SUITE_P(Activations, MemoryEstimateOf, testing::Values(Activations::kKept, Activations::kRecomputed),
                         [](const auto& one) { return one.param == Activations::kKept ? "Kept" : "Recomputed"; });

TEST_P(MemoryEstimateOf, TrainingIsNearWhatItTakes) {
  for (const Setting& s :
       {Setting{2, 128, 32}, Setting{1, 64, 8}, Setting{4, 128, 100}, Setting{6, 64, 64}, Setting{4, 256, 1}}) {
    TrainingSource source;
    source.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
    source.train = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
    source.scratch_config = BertConfig::preset("tiny");
    source.scratch_config.num_hidden_layers = s.layers;
    source.scratch_config.hidden_size = s.hidden;
    source.scratch_config.intermediate_size = 4 * s.hidden;
    const auto task = find_task("text-classification").train(source);
    TrainOptions options;
    options.batch_size = s.batch;
    if (s.layers == 6) options.optimizer_state = "bf16";
    options.gradient_checkpointing = GetParam() == Activations::kRecomputed;
    const MemoryEstimate e = estimate_memory(*task, options);
    // Words that a batch does not have cost nothing; a large one may have them all.
    EXPECT_TRUE(e.gradients < e.parameters || s.batch > 8) << "batch " << s.batch;
    EXPECT_EQ(e.moments, s.layers == 6 ? e.parameters : 2 * e.parameters);
    const double ratio = static_cast<double>(e.total() - e.rows) / static_cast<double>(measured(*task, options));
    EXPECT_GT(ratio, 0.75) << s.layers << "x" << s.hidden << ", batch " << s.batch;
    EXPECT_LT(ratio, 1.33) << s.layers << "x" << s.hidden << ", batch " << s.batch;
  }
}

/// After the first pass over the batches, of whatever lengths, the steps find all their memory in the pool.
TEST(TrainingMemory, ALaterEpochTakesNothingFromTheSystem) {
  TrainingSource source;
  source.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
  source.train = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
  source.scratch_config = BertConfig::preset("tiny");
  const auto task = find_task("text-classification").train(source);
  TrainOptions options;
  const auto reserved = [] { return memory_use().current_bytes + memory_use().cached_bytes; };
  AdamW optimizer(task->parameters(), {});
  int64_t after_first = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<int64_t> order = epoch_order(*task, options, 0);
    for (size_t begin = 0; begin + 32 <= order.size(); begin += 32) {
      ForwardContext context = ForwardContext::training(1, begin);
      backward(task->loss(std::span(order).subspan(begin, 32), context));
      optimizer.gradient_norm();
      optimizer.step(1e-5, 1);
    }
    if (epoch == 0) after_first = reserved();
  }
  EXPECT_LE(reserved(), after_first + (1 << 20));
}

TEST(MemoryEstimate, WarnsWhereItWillNotFit) {
  MemoryEstimate e;
  e.parameters = e.gradients = 1'000'000'000;
  e.activations = 500'000'000;
  e.largest_batch_tokens = 4096;
  EXPECT_EQ(describe(e, 4'000'000'000),
            "memory: about 2.5 GB (parameters 1.0 GB, gradients 1.0 GB, optimizer 0.0 MB, activations 500 MB for 4096 "
            "tokens, rows 0.0 MB)");
  EXPECT_THAT(describe(e, 2'000'000'000),
              testing::HasSubstr("WARNING: only 2.0 GB are available: the run may be killed. Lower --batch-size"));
  EXPECT_EQ(describe(e, 0), describe(e, 4'000'000'000)) << "unknown is no reason to warn";
}

TEST(AvailableMemory, IsTold) {
  EXPECT_GT(available_memory_bytes(), 1 << 20);
}

}  // namespace
}  // namespace cloze
