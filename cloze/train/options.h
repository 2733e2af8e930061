// The trainer's configuration, each field listed once (see base/fields.h).
#pragma once

#include <cstdint>
#include <string>

#include "cloze/nn/context.h"
#include "cloze/train/tuning_options.h"

namespace cloze {

/// Everything here but gradient_checkpointing changes the weights that come out: a resumed run must have the same.
struct TrainOptions {
  int64_t epochs = 3;
  int64_t steps = 0;
  std::string time_budget = "";
  int64_t batch_size = 32;
  int64_t gradient_accumulation = 1;
  double learning_rate = 5e-5;
  double warmup_ratio = 0.1;
  std::string schedule = "linear";
  double weight_decay = 0.01;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;
  std::string optimizer_state = "f32";
  bool gradient_checkpointing = false;
  std::string batching = "shuffled";
  int64_t seed = 42;
  int64_t eval_steps = 0;
  std::string save_best = "";
  int64_t patience = 0;
  double min_delta = 0;
  std::string precision = "fp32";
  TuningOptions tuning;  ///< of `finetune`, which visits it itself

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("epochs", epochs, "passes over the training rows");
    visitor("steps", steps, "optimizer steps, instead of epochs; 0: by epochs");
    visitor("time_budget", time_budget,
            "train for so long, e.g. 90m or 2h30m, instead of epochs: the schedule ends when the time does");
    visitor("batch_size", batch_size, "rows a forward pass");
    visitor("gradient_accumulation", gradient_accumulation, "forward passes whose gradients make one step");
    visitor("learning_rate", learning_rate, "highest learning rate");
    visitor("warmup_ratio", warmup_ratio, "share of the steps in which the learning rate rises");
    visitor("schedule", schedule, "decline of the learning rate: constant, linear, cosine");
    visitor("weight_decay", weight_decay, "AdamW's decay, not on biases and LayerNorm");
    visitor("adam_beta2", adam_beta2, "AdamW's decay of the mean of squared gradients");
    visitor("adam_epsilon", adam_epsilon, "AdamW's least divisor");
    visitor("max_grad_norm", max_grad_norm, "gradients are scaled down to this norm; 0: never");
    visitor("optimizer_state", optimizer_state, "how AdamW's moments are kept: f32, or bf16 in half of the memory");
    visitor("gradient_checkpointing", gradient_checkpointing,
            "less memory, more time: keep each layer's input alone and make the rest again for its gradients");
    visitor("batching", batching,
            "how rows make batches: shuffled, or in finetune by-length (rows of like length together)");
    visitor("seed", seed, "of initial weights, row order, masks and dropout");
    visitor("eval_steps", eval_steps, "evaluate every so many steps; 0: after each epoch");
    visitor("save_best", save_best,
            "metric that chooses the kept weights; default: the task's own (of pretrain: loss)");
    visitor("patience", patience, "stop after so many evaluations in a row without a better one; 0: never");
    visitor("min_delta", min_delta, "with --patience: what a better evaluation must gain at least");
    visitor("precision", precision, "of the encoder's products: fp32, or bf16 (faster with AVX512_BF16)");
  }
  /// Errors: kUsage for a value that cannot be.
  void check() const;
  Activations activations() const { return gradient_checkpointing ? Activations::kRecomputed : Activations::kKept; }
};

/// Seconds of "45s", "90m", "2h", "1h30m"; at most a year. Errors: kUsage for anything else and for 0.
double parse_duration(const std::string& text);

/// "fp32" or "bf16". Errors: kUsage.
Precision parse_training_precision(const std::string& name);

}  // namespace cloze
