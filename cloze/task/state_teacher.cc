#include "cloze/task/state_teacher.h"

#include <cmath>
#include <numeric>

#include "cloze/base/profile.h"
#include "cloze/model/checkpoint.h"
#include "cloze/ops/ops.h"
#include "cloze/task/same_pieces.h"

namespace cloze {
namespace {

int64_t last_width(const BertConfig& config) {
  return config.layer(config.num_hidden_layers - 1).heads * config.head_width();
}

/// About as wide as BERT's heads, and dividing both widths.
int64_t relation_heads(int64_t student, int64_t teacher) {
  constexpr int64_t kHeadWidth = 64;
  const int64_t common = std::gcd(student, teacher);
  for (int64_t heads = std::max<int64_t>(1, common / kHeadWidth); heads > 1; --heads)
    if (common % heads == 0) return heads;
  return 1;
}

}  // namespace

StateTeacher::StateTeacher(const Path& model, const Tokenizer& student_tokenizer, const BertConfig& student,
                           const StateOptions& options, uint64_t seed, size_t number)
    : options_(options), teacher_(load_config(ModelFiles::open(model)), Pooler::kWithout) {
  CLOZE_CHECK(same_pieces(Tokenizer::load(model), student_tokenizer), ErrorCode::kUnsupported,
              "the teacher {} has another vocabulary than the student, so that its states are of other tokens: let it "
              "teach its answers alone",
              model.string());
  ParameterList parameters;
  teacher_.collect(parameters);
  Weights weights{model};
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  for (Parameter* parameter : parameters) parameter->set_trained(false);
  teacher_.freeze();
  const BertConfig& config = teacher_.config();
  if (options.hidden > 0 && config.hidden_size != student.hidden_size) {
    projection_.emplace(number == 0 ? "distill.projection" : fmt::format("distill.projection.{}", number),
                        student.hidden_size, config.hidden_size);
    ParameterList own;
    projection_->collect(own);
    for (Parameter* parameter : own)
      parameter->initialize(seed, 1 / std::sqrt(static_cast<double>(student.hidden_size)));
  }
  if (options.relations <= 0) return;
  CLOZE_CHECK(last_width(config) > 0 && last_width(student) > 0, ErrorCode::kUnsupported,
              "the last layer of the {} has no heads, so that there are no relations to learn",
              last_width(config) > 0 ? "student" : "teacher");
  relation_heads_ = relation_heads(last_width(student), last_width(config));
}

void StateTeacher::collect(ParameterList& list) {
  if (projection_) projection_->collect(list);
}

Var StateTeacher::loss(const Bert& student, const RaggedBatch& batch, const std::vector<Var>& hidden) const {
  const int64_t L = std::ssize(hidden) - 1, M = teacher_.config().num_hidden_layers;
  std::vector<Tensor> taught(static_cast<size_t>(M + 1));
  Tensor relations;
  {
    const NoGrad no_grad;
    const ProfilePhase phase("teacher");
    ForwardContext plain;
    teacher_.visit_layers(batch, plain, M,
                          [&](int64_t layer, const Var& x) { taught[static_cast<size_t>(layer)] = x.value(); });
    if (options_.relations > 0)
      relations = teacher_.layers().back().projections(Var(taught[static_cast<size_t>(M - 1)])).value();
  }
  Var sum;
  const auto join = [&](const Var& part) { sum = sum.defined() ? add(sum, part) : part; };
  for (int64_t l = 1; options_.hidden > 0 && l <= L; ++l) {
    const Var& own = hidden[static_cast<size_t>(l)];
    const int64_t from = std::llround(static_cast<double>(l * M) / static_cast<double>(L));
    join(mean_square_gap(projection_ ? projection_->forward(own) : own, taught[static_cast<size_t>(from)],
                         options_.hidden / static_cast<double>(L)));
  }
  if (options_.relations > 0)
    join(relation_loss(student.layers().back().projections(hidden[static_cast<size_t>(L - 1)]), relations,
                       batch.offsets, 3 * relation_heads_, options_.relations));
  return sum;
}

}  // namespace cloze
