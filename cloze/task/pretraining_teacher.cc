#include "cloze/task/pretraining_teacher.h"

#include <algorithm>

#include "cloze/base/profile.h"
#include "cloze/model/checkpoint.h"
#include "cloze/task/model_checksum.h"
#include "cloze/task/same_pieces.h"

namespace cloze {
PretrainingTeacher::PretrainingTeacher(const PretrainingTeacherOptions& options, const Tokenizer& tokenizer,
                                       const BertConfig& student, int64_t max_length, uint64_t seed)
    : options_(options), config_(load_config(ModelFiles::open(options.model))) {
  CLOZE_CHECK(same_pieces(Tokenizer::load(options.model), tokenizer) && config_.vocab_size == student.vocab_size,
              ErrorCode::kUnsupported,
              "the teacher {} has another vocabulary than the student, so that its answers are of other tokens: train "
              "the student with --vocab {}, or choose a teacher with the student's vocabulary",
              options.model, options.model);
  CLOZE_CHECK(max_length <= config_.max_position_embeddings, ErrorCode::kUsage,
              "--max-length {} is more than the {} positions of the teacher {}", max_length,
              config_.max_position_embeddings, options.model);
  CLOZE_CHECK(config_.type_vocab_size >= student.type_vocab_size, ErrorCode::kUnsupported,
              "the teacher {} knows {} kinds of segments, the student {}", options.model, config_.type_vocab_size,
              student.type_vocab_size);
  if (options.weight > 0) {
    answering_ = load_pretrained(ModelFiles::open(options.model), {}, {.masked_words = true, .next_sentence = false},
                                 "masked words", "BertForMaskedLM and BertForPreTraining");
    for (Parameter* parameter : answering_->model.parameters()) parameter->set_trained(false);
  }
  if (options.states.any()) states_.emplace(options.model, tokenizer, student, options.states, seed);
  checksum_ = model_checksum(options.model);
}

void PretrainingTeacher::collect(ParameterList& list) {
  if (states_) states_->collect(list);
}

Var PretrainingTeacher::forward(const Bert& student, const PretrainingBatch& batch, ForwardContext& context,
                                Var& extra) const {
  if (!states_) return student.forward_at(batch.tokens, batch.picked, context);
  const int64_t L = student.config().num_hidden_layers;
  std::vector<Var> hidden(static_cast<size_t>(L + 1));
  student.visit_layers(batch.tokens, context, L,
                       [&](int64_t layer, const Var& x) { hidden[static_cast<size_t>(layer)] = x; });
  extra = states_->loss(student, batch.tokens, hidden);
  return gather_rows(hidden.back(), batch.picked.rows);
}

Var PretrainingTeacher::words_loss(const PretrainingModel& student, const Var& x, const PretrainingBatch& batch,
                                   Precision training, DistillationStatistics& statistics) const {
  Var hidden;
  {
    const NoGrad no_grad;
    const ProfilePhase phase("teacher");
    ForwardContext plain;
    hidden = answering_->model.bert().forward_at(batch.tokens, batch.picked, plain);
  }
  const auto logits = [&](int64_t begin, int64_t end) {
    const ProfilePhase phase("teacher");
    return answering_->model.masked_logits(hidden, batch.masked.rows(begin, end)).value();
  };
  return linear_distillation(x, student.decoder_weight(), student.decoder_bias(), batch.targets,
                             {.share = options_.weight, .temperature = options_.temperature, .logits = logits},
                             training, &statistics);
}

std::string PretrainingTeacher::summary() const {
  const std::string answers_text =
      answers() ? fmt::format("its answers are {:g} of the masked words' loss, at temperature {:g}", options_.weight,
                              options_.temperature)
                : "its answers are not asked for";
  const std::string states_text = shows_states() ? fmt::format("; hidden states count {:g}, relations {:g}",
                                                               options_.states.hidden, options_.states.relations)
                                                 : "";
  return fmt::format("teacher: {}: {} layers, hidden {}; {}{}", options_.model, config_.num_hidden_layers,
                     config_.hidden_size, answers_text, states_text);
}

Json PretrainingTeacher::fingerprint() const {
  return {{"model_config", config_.to_json()}, {"weights", checksum_}};
}

int64_t PretrainingTeacher::bytes(int64_t tokens) const {
  // An encoder layer has about 4 H^2 + 2 H F numbers. They are there as stored and as products want them, the word
  // embeddings also once more as the decoder.
  const int64_t H = config_.hidden_size, layer = 4 * H * H + 2 * H * config_.intermediate_size,
                encoder = config_.num_hidden_layers * layer + config_.vocab_size * H,
                copies = (answers() ? 2 : 0) + (shows_states() ? 2 : 0);
  // Nothing is kept for a backward pass but, where states are compared, each layer's.
  const int64_t states = shows_states() ? config_.num_hidden_layers * H : 0,
                passing = 8 * H + 2 * config_.intermediate_size;
  return (copies * encoder + tokens * (states + passing)) * static_cast<int64_t>(sizeof(float));
}

Var masked_words_loss(const PretrainingModel& model, const Var& hidden, const PretrainingBatch& batch,
                      const PretrainingTeacher* teacher, Precision training, DistillationStatistics& statistics) {
  const Var x = model.masked_hidden(hidden, batch.masked);  // [R,H]
  if (teacher != nullptr && teacher->answers()) return teacher->words_loss(model, x, batch, training, statistics);
  return linear_cross_entropy(x, model.decoder_weight(), model.decoder_bias(), batch.targets, training,
                              &statistics.words);
}

}  // namespace cloze
