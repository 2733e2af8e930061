#include "cloze/cli/pretrain_teacher.h"

namespace cloze::cli {

void check_teacher_weights(double teacher_weight, double temperature, double hidden_weight, double relation_weight) {
  CLOZE_CHECK(teacher_weight >= 0 && teacher_weight <= 1 && temperature > 0 && temperature <= 1000, ErrorCode::kUsage,
              "--teacher-weight must be 0 to 1 and --temperature above 0, got {} and {}", teacher_weight, temperature);
  CLOZE_CHECK(hidden_weight >= 0 && hidden_weight < 1e6 && relation_weight >= 0 && relation_weight < 1e6,
              ErrorCode::kUsage, "--hidden-weight and --relation-weight must be in [0, 1000000), got {} and {}",
              hidden_weight, relation_weight);
}

PretrainingTeacherOptions PretrainTeacher::resolve() const {
  check_teacher_weights(teacher_weight, temperature, hidden_weight, relation_weight);
  CLOZE_CHECK(!teacher.empty() || (hidden_weight == 0 && relation_weight == 0), ErrorCode::kUsage,
              "--hidden-weight and --relation-weight learn from a teacher: give --teacher");
  return {.model = teacher,
          .weight = teacher_weight,
          .temperature = temperature,
          .states = {.hidden = hidden_weight, .relations = relation_weight}};
}

}  // namespace cloze::cli
