// The options of `cloze pretrain` that say what is learned from another model.
#pragma once

#include <string>

#include "cloze/task/pretraining_teacher.h"

namespace cloze::cli {

/// The fields go into run.json, and a resumed run must have the same. They are called as finetune's are.
struct PretrainTeacher {
  std::string teacher;
  double teacher_weight = 0.5, temperature = 2, hidden_weight = 0, relation_weight = 0;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("teacher", teacher,
            "a pretrained model directory of the same vocabulary whose answers to the masked words are learned beside "
            "the words themselves");
    visitor("teacher_weight", teacher_weight,
            "with --teacher: its share of the loss of the masked words; 1: the words themselves do not count");
    visitor("temperature", temperature, "with --teacher: both answers are softened by it");
    visitor("hidden_weight", hidden_weight,
            "with --teacher: weight of the square gap of hidden states, projected where widths differ; e.g. 1");
    visitor("relation_weight", relation_weight,
            "with --teacher: weight of the divergence of attention relations in the last layer (MiniLMv2); e.g. 1");
  }

  /// Errors: kUsage for numbers outside of their bounds, and for states of no teacher.
  PretrainingTeacherOptions resolve() const;
};

/// What finetune and pretrain ask of these four. Errors: kUsage.
void check_teacher_weights(double teacher_weight, double temperature, double hidden_weight, double relation_weight);

}  // namespace cloze::cli
