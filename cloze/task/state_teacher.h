// A teacher whose inner states a student learns: hidden states (Jiao et al., "TinyBERT", 2020) and the relations of its
// last layer's queries, keys and values (Wang et al., "MiniLMv2", 2021).
#pragma once

#include <optional>
#include <vector>

#include "cloze/model/bert.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

struct StateOptions {
  double hidden = 0;     ///< weight of the mean square gap of hidden states
  double relations = 0;  ///< weight of the divergence of relations
  bool any() const { return hidden > 0 || relations > 0; }
};

class StateTeacher {
 public:
  /// Loads the teacher's encoder. `number` is for several of them, whose projections need names of their own. Errors:
  /// those of loading; kUnsupported for a teacher of another vocabulary (its tokens are not the student's), and for
  /// relations where a last layer has no heads.
  StateTeacher(const Path& model, const Tokenizer& student_tokenizer, const BertConfig& student,
               const StateOptions& options, uint64_t seed, size_t number = 0);

  /// Tokens that a sequence of loss() may have at most.
  int64_t most_tokens() const { return teacher_.config().max_position_embeddings; }

  /// What is trained beside the student: the projection of its hidden states to the teacher's width, where that
  /// differs. It is not saved with the student.
  void collect(ParameterList& list);

  /// What is added to the loss of the student on this batch. hidden[l] are its states after l of its layers (0: the
  /// embeddings). Student layer l of L learns layer round(l M / L) of the teacher's M.
  Var loss(const Bert& student, const RaggedBatch& batch, const std::vector<Var>& hidden) const;

 private:
  StateOptions options_;
  Bert teacher_;
  std::optional<Linear> projection_;
  int64_t relation_heads_ = 1;  ///< of each of queries, keys and values
};

}  // namespace cloze
