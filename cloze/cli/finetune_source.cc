#include "cloze/cli/finetune_source.h"

#include <algorithm>

#include "cloze/cli/output.h"
#include "cloze/cli/pretrain_teacher.h"
#include "cloze/cli/scratch_model.h"
#include "cloze/cli/training_run.h"
#include "cloze/task/model_checksum.h"
#include "cloze/transfer/ensemble.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
TrainingSource resolve(const Source& s, const TableFlags& table, int64_t seed) {
  CLOZE_CHECK(!s.task.empty() && !s.train.empty(), ErrorCode::kUsage, "--task, --train and --output are needed");
  CLOZE_CHECK(s.from_scratch == s.model.empty(), ErrorCode::kUsage, "{}",
              s.from_scratch ? "--model and --from-scratch exclude each other"
                             : "where to start from? Give --model DIR, or --from-scratch --vocab FILE");
  CLOZE_CHECK(!s.from_scratch || !s.vocab.empty(), ErrorCode::kUsage,
              "--from-scratch needs --vocab: a vocab.txt or a model directory");
  CLOZE_CHECK(s.from_scratch ||
                  (s.vocab.empty() && s.size.empty() && s.layers == 0 && s.hidden == 0 && s.heads == 0 && !s.cased),
              ErrorCode::kUsage,
              "--vocab, --cased, --size, --layers, --hidden and --heads go with --from-scratch only");
  CLOZE_CHECK(s.max_length >= 0, ErrorCode::kUsage, "--max-length must not be negative, got {}", s.max_length);
  CLOZE_CHECK(s.dropout < 1 && s.label_smoothing >= 0 && s.label_smoothing < 1, ErrorCode::kUsage,
              "--dropout and --label-smoothing must be below 1, got {} and {}", s.dropout, s.label_smoothing);
  CLOZE_CHECK(s.r_drop >= 0 && s.r_drop < 1e6, ErrorCode::kUsage, "--r-drop must be in [0, 1000000), got {}", s.r_drop);
  CLOZE_CHECK(s.r_drop == 0 || s.dropout != 0, ErrorCode::kUsage,
              "--r-drop compares two draws of dropout, and --dropout 0 makes none");
  check_teacher_weights(s.teacher_weight, s.temperature, s.hidden_weight, s.relation_weight);
  CLOZE_CHECK(!s.teacher.empty() || (s.unlabelled.empty() && s.hidden_weight == 0 && s.relation_weight == 0),
              ErrorCode::kUsage,
              "--unlabelled, --hidden-weight and --relation-weight learn from a teacher: give "
              "--teacher");
  CLOZE_CHECK(s.keep_layers >= 0 && (s.keep_layers == 0 || !s.model.empty()), ErrorCode::kUsage,
              "--keep-layers takes a count of layers of --model, got {}", s.keep_layers);
  // Before the aggregate: g++ 12 destroys members that it never made when an initialiser throws.
  const ExampleOptions examples = table.resolve();
  const std::vector<Path> state_teachers =
      s.hidden_weight > 0 || s.relation_weight > 0 ? single_models(s.teacher) : std::vector<Path>();
  TrainingSource source{.model = s.model,
                        .vocab = s.vocab,
                        .cased = s.cased,
                        .scratch_config = {},
                        .train = s.train,
                        .dev = s.dev,
                        .examples = examples,
                        .lengths = {.max_length = s.max_length, .long_texts = s.long_texts, .stride = s.stride},
                        .label_smoothing = s.label_smoothing,
                        .r_drop = s.r_drop,
                        .class_weights = s.class_weights,
                        .dropout = s.dropout,
                        .seed = static_cast<uint64_t>(seed),
                        .teacher_weight = s.teacher_weight,
                        .temperature = s.temperature,
                        .unlabelled = s.unlabelled,
                        .state_teachers = state_teachers,
                        .states = {s.hidden_weight, s.relation_weight}};
  if (s.from_scratch) source.scratch_config = scratch_config({s.size, s.layers, s.hidden, s.heads, 0});
  return source;
}

void add_teacher(const std::string& teacher, TrainingSource& source) {
  if (teacher.empty()) return;
  const std::shared_ptr<Predictor> predictor = load_predictor(ModelFiles::open(teacher), "text-classification", {});
  CLOZE_CHECK(predictor->evaluation_columns().extra.empty(), ErrorCode::kUnsupported,
              "--teacher {} reads joined features, and a teacher gets texts alone", teacher);
  for (const Path& one : single_models(teacher)) source.teacher_checksums.push_back(model_checksum(one));
  source.teach = [predictor, teacher](std::span<const TextExample> rows, const std::vector<std::string>& labels,
                                      const std::string& file) {
    const std::vector<std::string>& known = predictor->class_labels();
    std::vector<size_t> place;  // of each label among the teacher's
    for (const std::string& label : labels) {
      const auto at = std::ranges::find(known, label);
      CLOZE_CHECK(at != known.end() && known.size() == labels.size(), ErrorCode::kUsage,
                  "--teacher {} knows the labels {}, but the rows have {}", teacher, shorten_list(known),
                  shorten_list(labels));
      place.push_back(static_cast<size_t>(at - known.begin()));
    }
    const Tensor taught({static_cast<int64_t>(rows.size()), static_cast<int64_t>(labels.size())}, DType::kF32);
    constexpr size_t kRowsAtATime = 256;
    Progress progress;
    float* to = taught.data<float>();
    for (size_t begin = 0; begin < rows.size(); begin += kRowsAtATime) {
      if (interrupted()) fail(ErrorCode::kInterrupted, "stopped while the teacher read; nothing was written");
      const auto part = rows.subspan(begin, std::min(kRowsAtATime, rows.size() - begin));
      const ClassifiedRows found = predictor->classify(part, file);
      for (size_t n = 0; n < part.size(); ++n)
        for (const size_t at : place) *to++ = found.probabilities.data<float>()[n * known.size() + at];
      progress.update(static_cast<int64_t>(begin + part.size()), std::ssize(rows), "rows read by the teacher");
    }
    progress.clear();
    return taught;
  };
}

}  // namespace cloze::cli
