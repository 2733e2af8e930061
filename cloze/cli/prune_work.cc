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
#include "cloze/compress/movement.h"
#include "cloze/compress/recover.h"
#include "cloze/compress/vocabulary.h"
#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"
#include "cloze/task/class_labels.h"
#include "cloze/train/same_start.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

/// The rows that importance is read from, and a model to read it with.
struct Reading {
  std::unique_ptr<TrainingTask> task;
  std::vector<int64_t> rows;
};

Reading read_rows(const PruneFlags& o, const Path& folder) {
  TrainingSource source;
  source.model = folder.string();
  source.train = o.data;
  source.examples = o.table.resolve();
  Reading reading;
  reading.task = find_training_task(task_of(ModelFiles::open(folder), "").name).train(source);
  std::vector<int64_t>& rows = reading.rows;
  rows.resize(static_cast<size_t>(reading.task->rows()));
  std::iota(rows.begin(), rows.end(), 0);
  Rng rng(static_cast<uint64_t>(o.seed), RandomStream::kData);
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
  // Derivatives of a model that stands still are alike after some hundred rows; a way takes all there are.
  constexpr int64_t kGradientRows = 512;
  const int64_t most = o.rows > 0 ? o.rows : o.criterion() == Criterion::kMovement ? std::ssize(rows) : kGradientRows;
  rows.resize(std::min(rows.size(), static_cast<size_t>(most)));
  return reading;
}

auto reporter(Progress& progress, int64_t rows, const std::string& what) {
  return [&progress, rows, what](int64_t done) {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
    progress.update(done, rows, what);
  };
}

/// From the gradients of the loss of the model in `folder` on labelled rows.
Importance from_rows(const PruneFlags& o, const Path& folder, const BertConfig& config, Criterion criterion,
                     const std::string& round) {
  const Reading reading = read_rows(o, folder);
  Progress progress;
  constexpr int64_t kTaylorBatch = 8;
  const Importance importance = gradient_importance(
      *reading.task, config, criterion, reading.rows, criterion == Criterion::kFisher ? 1 : kTaylorBatch,
      reporter(progress, std::ssize(reading.rows), "rows read for their gradients" + round));
  progress.clear();
  return importance;
}

Movement from_tuning(const PruneFlags& o, const Path& folder, const BertConfig& config, const std::string& round) {
  const Reading reading = read_rows(o, folder);
  Progress progress;
  MovementOptions options;
  options.rate = o.recover_rate > 0 ? o.recover_rate : recovery_rate(config.hidden_size);
  options.seed = static_cast<uint64_t>(o.seed);
  options.progress = reporter(progress, std::ssize(reading.rows), "rows tuned on, to see what moves" + round);
  Movement movement = movement_of(*reading.task, config, reading.rows, options);
  progress.clear();
  return movement;
}

uint64_t bytes_of(const Path& file) {
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(file, unknown);
  return unknown ? 0 : bytes;
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

void PruneFlags::add(CLI::App& app) {
  app.add_option("--model", model, "model directory")->required();
  app.add_option("--output", output, "new model directory")->required();
  app.add_option("--data", data, "labelled rows: their gradients tell what matters, and models learn from them again");
  app.add_option("--dev", dev, "labelled rows to judge models by");
  app.add_option("--importance", importance,
                 "fisher, taylor, movement (these need --data) or magnitude; default: fisher with --data");
  app.add_option("--rows", rows,
                 "how many rows of --data importance is read from, drawn at random; 0: 512, with movement all")
      ->capture_default_str();
  app.add_option("--rounds", rounds, "gradients are read anew so many times, as the model shrinks")
      ->capture_default_str();
  app.add_option("--recover", recover_epochs,
                 "train again on --data for so many epochs, with the whole model as teacher")
      ->capture_default_str();
  app.add_option("--recover-rate", recover_rate,
                 "learning rate of --recover and of movement; 0: 5e-5 x 256 / hidden width, at most 1e-4")
      ->capture_default_str();
  app.add_option("--max-length", max_length, "tokens a row when training again; 0: what the model takes")
      ->capture_default_str();
  app.add_option("--vocabulary", vocabulary,
                 "texts: pieces of the vocabulary that they never need go, with their embeddings");
  app.add_option("--min-count", min_count, "with --vocabulary: how often a piece must be needed")
      ->capture_default_str();
  app.add_option("--multiple", latency.multiple, "neurons a layer keeps, and the hidden width, are a multiple of it")
      ->capture_default_str();
  app.add_option("--batch", latency.batch, "rows a pass, for timing")->capture_default_str();
  app.add_option("--length", latency.length, "tokens a row, for timing")->capture_default_str();
  app.add_option("--seed", seed, "draws the rows")->capture_default_str();
  table.add(app, TableFlags::Labels::kOffer, "refuse");
  threads.add(app);
}

void PruneFlags::check() const {
  constexpr int64_t kMostRounds = 100, kMostRows = 4096, kMostMultiple = 65536;
  CLOZE_CHECK(
      rows >= 0 && rounds >= 1 && rounds <= kMostRounds && min_count >= 1 && latency.batch >= 1 &&
          latency.batch <= kMostRows && latency.length >= 1 && latency.multiple >= 1 &&
          latency.multiple <= kMostMultiple,
      ErrorCode::kUsage,
      "--rounds ({} at most), --min-count, --batch ({}), --length and --multiple ({}) must be at least 1, --rows 0",
      kMostRounds, kMostRows, kMostMultiple);
  CLOZE_CHECK(recover_epochs >= 0 && recover_rate >= 0 && max_length >= 0, ErrorCode::kUsage,
              "--recover, --recover-rate and --max-length must not be negative");
  CLOZE_CHECK(!std::filesystem::exists(output), ErrorCode::kUsage,
              "--output {} is there already; give a new folder, or remove it", output);
  refuse_inside(model, output);
}

std::string shape_text(const BertConfig& config) {
  std::string text;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    text += fmt::format("{}{}/{}", i == 0 ? "" : " ", config.layer(i).heads, config.layer(i).feed_forward);
  return text;
}

Importance weigh(const PruneFlags& o, const Path& model, const BertConfig& config, const std::string& round) {
  const Criterion criterion = o.criterion();
  if (criterion == Criterion::kMagnitude) return by_magnitude(model, config);
  if (criterion == Criterion::kMovement) return as_prices(from_tuning(o, model, config, round).units);
  return from_rows(o, model, config, criterion, round);
}

WeightScores weigh_weights(const PruneFlags& o, const Path& model, const BertConfig& config, const std::string& round) {
  return from_tuning(o, model, config, round).weights;
}

void check_data(const PruneFlags& o, const BertConfig& config) {
  CLOZE_CHECK(!json_bool_or(config.cloze, kNumbersKey, false, "config.json"), ErrorCode::kUnsupported,
              "{} reads joined features, which --data does not bring to it: prune by --importance magnitude", o.model);
  CLOZE_CHECK(!config.labels.empty(), ErrorCode::kUsage,
              "{0} has no labels: it is no trained classifier. Fine-tune it first: cloze finetune --task "
              "text-classification --model {0} --train FILE --output DIR",
              o.model);
  ExampleOptions labelled = o.table.resolve();
  labelled.columns.label_need = Need::kRequired;
  const std::vector<std::string> found = collect_labels(read_all(o.data, labelled).rows, o.data);
  CLOZE_CHECK(std::set(found.begin(), found.end()) == std::set(config.labels.begin(), config.labels.end()),
              ErrorCode::kValue, "{}: --data must have rows of each of the model's labels ({}) and no others, found {}",
              o.data, shorten_list(config.labels), shorten_list(found));
}

Json record_of(const PruneFlags& o) {
  TrainingSource source;
  source.model = o.model;
  source.train = o.data;
  source.dev = o.dev;
  source.examples = o.table.resolve();
  const auto task = find_training_task(task_of(ModelFiles::open(o.model), "").name).train(source);
  Json vocabulary = Json::array();
  for (const std::string& text : o.vocabulary)
    vocabulary.push_back(fmt::format("{}, {} bytes", Path(text).filename().string(), bytes_of(text)));
  return {{"inputs", task->fingerprint()},
          {"weights", fmt::format("{:016x}", checksum(task->parameters()))},
          {"importance", o.importance},
          {"rows", o.rows},
          {"rounds", o.rounds},
          {"recover", o.recover_epochs},
          {"recover_rate", o.recover_rate},
          {"max_length", o.max_length},
          {"vocabulary", vocabulary},
          {"min_count", o.min_count},
          {"multiple", o.latency.multiple},
          {"batch", o.latency.batch},
          {"length", o.latency.length},
          {"seed", o.seed}};
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
  options.stop = interrupted;
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
