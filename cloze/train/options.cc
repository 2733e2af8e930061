#include "cloze/train/options.h"

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/train/sampler.h"

namespace cloze {

void TrainOptions::check() const {
  CLOZE_CHECK(epochs >= 1 && epochs <= 100000, ErrorCode::kUsage, "--epochs must be 1 to 100000, got {}", epochs);
  CLOZE_CHECK(batch_size >= 1 && batch_size <= 65536, ErrorCode::kUsage, "--batch-size must be 1 to 65536, got {}",
              batch_size);
  CLOZE_CHECK(gradient_accumulation >= 1 && gradient_accumulation <= 65536, ErrorCode::kUsage,
              "--gradient-accumulation must be 1 to 65536, got {}", gradient_accumulation);
  CLOZE_CHECK(learning_rate > 0 && learning_rate < 10, ErrorCode::kUsage, "--learning-rate must be in (0, 10), got {}",
              learning_rate);
  CLOZE_CHECK(warmup_ratio >= 0 && warmup_ratio <= 1, ErrorCode::kUsage, "--warmup-ratio must be in [0, 1], got {}",
              warmup_ratio);
  CLOZE_CHECK(weight_decay >= 0 && weight_decay < 10, ErrorCode::kUsage, "--weight-decay must be in [0, 10), got {}",
              weight_decay);
  CLOZE_CHECK(max_grad_norm >= 0, ErrorCode::kUsage, "--max-grad-norm must not be negative, got {}", max_grad_norm);
  CLOZE_CHECK(seed >= 0, ErrorCode::kUsage, "--seed must not be negative, got {}", seed);
  CLOZE_CHECK(eval_steps >= 0, ErrorCode::kUsage, "--eval-steps must not be negative, got {}", eval_steps);
  CLOZE_CHECK(patience >= 0, ErrorCode::kUsage, "--patience must not be negative, got {}", patience);
  CLOZE_CHECK(min_delta >= 0, ErrorCode::kUsage, "--min-delta must not be negative, got {}", min_delta);
  parse_decline(schedule);
  parse_batching(batching);
  parse_moment_type(optimizer_state);
  parse_training_precision(precision);
}

Precision parse_training_precision(const std::string& name) {
  if (name == "fp32") return Precision::kF32;
  if (name == "bf16") return Precision::kBF16;
  CLOZE_CHECK(name != "int8", ErrorCode::kUsage,
              "--precision int8 is for trained models (evaluate, predict); training takes fp32 or bf16");
  fail(ErrorCode::kUsage, "--precision of training must be fp32 or bf16, got \"{}\"{}", name,
       did_you_mean(name, {"fp32", "bf16"}));
}

}  // namespace cloze
