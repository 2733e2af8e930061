#include "cloze/cli/prune_work.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "cloze/base/child_process.h"
#include "cloze/base/rng.h"
#include "cloze/base/temporary_folder.h"
#include "cloze/cli/output.h"
#include "cloze/cli/training_run.h"
#include "cloze/cli/vocab.h"
#include "cloze/compress/recover.h"
#include "cloze/compress/vocabulary.h"
#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"
#include "cloze/task/class_labels.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

/// From the gradients of the loss of the model in `folder` on labelled rows.
Importance from_rows(const PruneFlags& o, const Path& folder, const BertConfig& config, Criterion criterion,
                     const std::string& round) {
  TrainingSource source;
  source.model = folder.string();
  source.train = o.data;
  source.examples = o.table.resolve();
  const std::unique_ptr<TrainingTask> training =
      find_training_task(task_of(ModelFiles::open(folder), "").name).train(source);
  std::vector<int64_t> rows(static_cast<size_t>(training->rows()));
  std::iota(rows.begin(), rows.end(), 0);
  Rng rng(static_cast<uint64_t>(o.seed), RandomStream::kData);
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
  rows.resize(std::min<size_t>(rows.size(), static_cast<size_t>(o.rows)));
  Progress progress;
  constexpr int64_t kTaylorBatch = 8;
  const auto report = [&](int64_t done) {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
    progress.update(done, std::ssize(rows), "rows read for their gradients" + round);
  };
  const Importance importance = gradient_importance(*training, config, criterion, rows,
                                                    criterion == Criterion::kFisher ? 1 : kTaylorBatch, report);
  progress.clear();
  return importance;
}

Importance by_magnitude(const Path& folder, const BertConfig& config) {
  Bert bert(config, Pooler::kWithout);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{folder};
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  return magnitude_importance(parameters, config);
}

}  // namespace

Importance weigh(const PruneFlags& o, const Path& model, const BertConfig& config, const std::string& round) {
  const Criterion criterion = o.criterion();
  return criterion == Criterion::kMagnitude ? by_magnitude(model, config)
                                            : from_rows(o, model, config, criterion, round);
}

void check_data(const PruneFlags& o, const BertConfig& config) {
  CLOZE_CHECK(!json_bool_or(config.cloze, kNumbersKey, false, "config.json"), ErrorCode::kUnsupported,
              "{} reads joined features, which --data does not bring to it: prune by --importance magnitude", o.model);
  ExampleOptions labelled = o.table.resolve();
  labelled.columns.label_need = Need::kRequired;
  const std::vector<std::string> found = collect_labels(read_all(o.data, labelled).rows, o.data);
  CLOZE_CHECK(std::set(found.begin(), found.end()) == std::set(config.labels.begin(), config.labels.end()),
              ErrorCode::kValue, "{}: --data must have rows of each of the model's labels ({}) and no others, found {}",
              o.data, shorten_list(config.labels), shorten_list(found));
}

void train_again(const PruneFlags& o, const Path& from, const Path& to, const std::string& round, Zeros zeros) {
  say(fmt::format("training again on {}{}", o.data, round));
  RecoverOptions options;
  options.program = own_program().string();
  options.task = task_of(ModelFiles::open(from), "").name;
  options.data = o.data;
  options.teacher = o.model;
  options.table = o.table.arguments();
  options.epochs = o.recover_epochs;
  options.rate = o.recover_rate;
  options.max_length = o.max_length;
  options.seed = o.seed;
  options.threads = o.threads.threads;
  options.keep_zeros = zeros == Zeros::kKept;
  const TemporaryFolder scratch;
  recover(from, to, options, scratch.path() / "log");
}

std::vector<int32_t> pieces_for(const Path& model, const std::vector<std::string>& texts, int64_t min_count) {
  const Tokenizer tokenizer = Tokenizer::load(model);
  WordCountOptions counting;
  counting.normalizer = tokenizer.options().normalizer;
  counting.max_chars_per_word = tokenizer.options().max_chars_per_word;
  std::vector<int32_t> pieces = needed_pieces(tokenizer, count_corpus(texts, counting), min_count);
  say(fmt::format("vocabulary: {} of {} pieces are kept", grouped(std::ssize(pieces)),
                  grouped(tokenizer.vocabulary().size())));
  return pieces;
}

}  // namespace cloze::cli
