#include "cloze/train/options.h"

#include <cstdlib>
#include <utility>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/train/sampler.h"

namespace cloze {

void TrainOptions::check() const {
  CLOZE_CHECK(epochs >= 1 && epochs <= 100000, ErrorCode::kUsage, "--epochs must be 1 to 100000, got {}", epochs);
  CLOZE_CHECK(steps >= 0, ErrorCode::kUsage, "--steps must not be negative, got {}", steps);
  CLOZE_CHECK(steps == 0 || time_budget.empty(), ErrorCode::kUsage, "--steps and --time-budget exclude each other");
  if (!time_budget.empty()) parse_duration(time_budget);
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
  CLOZE_CHECK(adam_beta2 >= 0 && adam_beta2 < 1, ErrorCode::kUsage, "--adam-beta2 must be in [0, 1), got {}",
              adam_beta2);
  CLOZE_CHECK(adam_epsilon > 0 && adam_epsilon < 1, ErrorCode::kUsage, "--adam-epsilon must be in (0, 1), got {}",
              adam_epsilon);
  CLOZE_CHECK(max_grad_norm >= 0, ErrorCode::kUsage, "--max-grad-norm must not be negative, got {}", max_grad_norm);
  CLOZE_CHECK(seed >= 0, ErrorCode::kUsage, "--seed must not be negative, got {}", seed);
  CLOZE_CHECK(eval_steps >= 0, ErrorCode::kUsage, "--eval-steps must not be negative, got {}", eval_steps);
  CLOZE_CHECK(patience >= 0, ErrorCode::kUsage, "--patience must not be negative, got {}", patience);
  CLOZE_CHECK(min_delta >= 0, ErrorCode::kUsage, "--min-delta must not be negative, got {}", min_delta);
  parse_decline(schedule);
  parse_batching(batching);
  parse_moment_type(optimizer_state);
  parse_training_precision(precision);
  tuning.check();
}

double parse_duration(const std::string& text) {
  double total = 0;
  size_t at = 0;
  for (const auto& [unit, seconds] : {std::pair{'h', 3600.0}, std::pair{'m', 60.0}, std::pair{'s', 1.0}}) {
    size_t end = at;
    while (end < text.size() && end - at < 9 && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
    if (end == at || end == text.size() || text[end] != unit) continue;
    char* parsed = nullptr;
    const std::string digits = text.substr(at, end - at);
    total += std::strtod(digits.c_str(), &parsed) * seconds;
    if (*parsed != '\0') break;
    at = end + 1;
  }
  constexpr double kYear = 366 * 86400.0;
  CLOZE_CHECK(at == text.size() && total > 0 && total <= kYear, ErrorCode::kUsage,
              "--time-budget must be a time such as 45s, 90m, 2h or 1h30m, got \"{}\"", text);
  return total;
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
