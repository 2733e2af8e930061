// A pretrained model that another one learns from while it is pretrained: its answers at the masked places (Hinton et
// al., 2015; Sanh et al., "DistilBERT", 2019), and its inner states (state_teacher.h).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cloze/ops/linear_distillation.h"
#include "cloze/task/pretrained.h"
#include "cloze/task/pretraining_batch.h"
#include "cloze/task/state_teacher.h"

namespace cloze {

struct PretrainingTeacherOptions {
  std::string model;       ///< a model directory; empty: nobody teaches
  double weight = 0.5;     ///< of its answers in the loss of the masked words; 0: they are not asked for
  double temperature = 2;  ///< softens both answers
  StateOptions states = {};
};

/// Frozen and without dropout. Dimensions: P picked rows, R of them masked, H the student's hidden width.
class PretrainingTeacher {
 public:
  /// Errors: those of loading; kUnsupported for another vocabulary than the student's; kNotFound where its answers are
  /// asked for and it has no head for masked words; kUsage where it has fewer positions than `max_length`.
  PretrainingTeacher(const PretrainingTeacherOptions& options, const Tokenizer& tokenizer, const BertConfig& student,
                     int64_t max_length, uint64_t seed);

  bool answers() const { return answering_ != nullptr; }
  bool shows_states() const { return states_.has_value(); }
  /// What is trained beside the student, and not saved with it.
  void collect(ParameterList& list);

  /// The student's hidden states at the picked rows [P,H]; `extra` gets what comparing states adds to the loss, or
  /// stays undefined.
  Var forward(const Bert& student, const PretrainingBatch& batch, ForwardContext& context, Var& extra) const;
  /// linear_distillation() of the masked words of `student`, by x [R,H] = masked_hidden(). Only where answers().
  Var words_loss(const PretrainingModel& student, const Var& x, const PretrainingBatch& batch, Precision training,
                 DistillationStatistics& statistics) const;

  std::string summary() const;
  /// Its shape, and a checksum of its weights.
  Json fingerprint() const;
  /// About what it takes in a pass over so many tokens, its weights included.
  int64_t bytes(int64_t tokens) const;

 private:
  PretrainingTeacherOptions options_;
  BertConfig config_;
  std::string checksum_;
  std::unique_ptr<Pretrained> answering_;
  std::optional<StateTeacher> states_;
};

/// The mean loss of the masked words, by the hidden states of the picked rows [P,H], with the teacher's answers where
/// there is one that gives any; it may be null.
Var masked_words_loss(const PretrainingModel& model, const Var& hidden, const PretrainingBatch& batch,
                      const PretrainingTeacher* teacher, Precision training, DistillationStatistics& statistics);

}  // namespace cloze
