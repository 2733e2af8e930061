// The seam between tasks and those who run them. A task is one file in this folder and one line in table.cc: it turns
// rows into batches, logits into a loss, metrics and predictions. The trainer and the commands know only this header.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/io/load_report.h"
#include "cloze/io/model_dir.h"
#include "cloze/model/bert_config.h"
#include "cloze/nn/context.h"
#include "cloze/nn/parameter.h"
#include "cloze/task/batches.h"
#include "cloze/task/long_texts.h"
#include "cloze/task/row_numbers.h"
#include "cloze/task/state_teacher.h"
#include "cloze/text/tokenizer.h"

namespace cloze {

class Bert;

/// Named numbers, the headline metric first among those that can choose the best checkpoint.
using MetricList = std::vector<std::pair<std::string, double>>;

/// The value of a metric by name. Errors: kUsage, with the names that there are.
double metric_value(const MetricList& metrics, const std::string& name);

/// What evaluation found.
struct Evaluation {
  LengthCounts lengths;  ///< rows, and how many of them were longer than the model takes
  MetricList metrics;    ///< "loss" first
  std::string text;      ///< tables for people
};

/// A model under training with its rows: what the trainer needs.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  virtual ParameterList parameters() = 0;
  virtual int64_t rows() const = 0;
  /// True where rows are numbers of an endless sequence that is taken in its order; rows() is then what counts as an
  /// epoch.
  virtual bool endless() const { return false; }
  /// Sums over the passes since they were last set to 0, which training_metrics() reads: a run keeps them over a stop.
  virtual std::span<double> training_sums() { return {}; }
  /// What the passes since then showed beside the loss, e.g. {"mlm_accuracy", 0.31}.
  virtual MetricList training_metrics() const { return {}; }
  /// The model's encoder, for adapters; null where there is none that takes them.
  virtual Bert* encoder() { return nullptr; }
  /// Deviation of the model's fresh weights.
  virtual double initializer_range() const { return 0.02; }
  /// Tokens of training row `row`, for throughput.
  virtual int64_t tokens(int64_t row) const = 0;
  /// How much a training row counts in the loss.
  virtual double weight(int64_t row) const = 0;
  /// Mean loss of these training rows, by their weights: [1].
  virtual Var loss(std::span<const int64_t> rows, ForwardContext& context) = 0;
  virtual bool has_dev() const = 0;
  /// On the dev rows. The model does not change.
  virtual Evaluation evaluate() = 0;
  /// The metric that chooses the best checkpoint unless the user names one; larger is better.
  virtual std::string headline_metric() const = 0;
  /// All metrics that evaluate() gives.
  virtual std::vector<std::string> metric_names() const = 0;
  /// Writes a whole model directory; model.safetensors comes last.
  virtual void save(const ModelFiles& files) = 0;
  /// Facts about data and model for the log, a line each.
  virtual std::vector<std::string> summary() const = 0;
  /// What the rows and the model were, as far as training sees them: a resumed run must have the same.
  virtual Json fingerprint() const = 0;
  /// A training row as the model gets it, for people: several lines without a last line end.
  virtual std::string preview(int64_t row) const = 0;
  /// About how many bytes the forward and backward passes over a batch of `tokens` tokens take, beside parameters and
  /// their gradients.
  virtual int64_t activation_bytes(int64_t tokens, Activations activations) const = 0;
  /// Bytes of the gradients of a step over `tokens` tokens; less than the trained parameters' where some come as rows.
  virtual int64_t gradient_bytes(int64_t) {
    return count_elements(trained_of(parameters())) * static_cast<int64_t>(sizeof(float));
  }
};

/// A teacher's class probabilities [rows,C] for labels in this order. Errors: kUsage where its labels are others.
using Teach = std::function<Tensor(std::span<const TextExample> rows, const std::vector<std::string>& labels,
                                   const std::string& file)>;

/// Where a fine-tuning run gets its model and rows.
struct TrainingSource {
  std::string model;  ///< a model directory; empty: from scratch with `scratch_config` and `vocab`
  std::string vocab;
  bool cased = false;  ///< from scratch: keep upper case and accents
  BertConfig scratch_config;
  Path train, dev;  ///< dev may be empty
  ExampleOptions examples;
  LengthOptions lengths;
  double label_smoothing = 0;
  double r_drop = 0;          ///< > 0: rows go through twice, and so much of symmetric_kl() is added to the loss
  std::string class_weights;  ///< see class_labels.h
  double dropout = -1;        ///< replaces both of the model's probabilities, unless negative
  uint64_t seed = 0;
  /// Numbers that the classifier reads beside the text's vector; may be empty. `number_columns`: what they read.
  FitNumbers fit_numbers = {};
  std::vector<std::string> number_columns = {};
  /// May be empty. The loss is then (1 - teacher_weight) times that of the labels, plus teacher_weight times
  /// distillation_loss().
  Teach teach = {};
  double teacher_weight = 0.5, temperature = 2;
  /// model_checksum() of what teaches, for the fingerprint: a resumed run must have the same. Empty without a teacher.
  std::vector<std::string> teacher_checksums = {};
  /// Texts without labels, of which the teacher's answers alone are learned; may be empty.
  Path unlabelled = {};
  /// Model directories whose inner states are learned too, each with an equal share of the weights in `states`; may be
  /// empty.
  std::vector<Path> state_teachers = {};
  StateOptions states = {};
};

/// One JSON object a row, in order.
struct Answers {
  std::vector<std::string> lines;
  LengthCounts lengths;
};

/// Rows with their class probabilities [rows,C].
struct ClassifiedRows {
  Tensor probabilities;
  EncodedRows rows;
};

/// A trained model that answers rows.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// Does not change the model; a row's answer does not depend on the others.
  virtual Answers predict(std::span<const TextExample> rows) = 0;
  /// Metrics over labelled rows; `file` names where they come from in errors.
  virtual Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) = 0;
  /// Of a classifier: what predict() and evaluate() go by, in the order of class_labels(). Errors: kUnsupported of
  /// other tasks.
  virtual ClassifiedRows classify(std::span<const TextExample> rows, const std::string& file);
  virtual const std::vector<std::string>& class_labels() const;
  /// Throws if predict() would refuse the row, with `file` and the row's line: so the rows before it can be answered.
  virtual void check(const TextExample&, const std::string& /*file*/) const {}
  /// Which columns the rows of predict() need, and those of evaluate().
  virtual ColumnOptions prediction_columns() const = 0;
  virtual ColumnOptions evaluation_columns() const { return {}; }
  /// A row that predict() answers.
  virtual TextExample sample_row() const;
  virtual const LoadReport& load_report() const = 0;
  virtual const RowLimits& limits() const = 0;
};

/// How a trained model is to run.
struct LoadOptions {
  LengthOptions lengths;
  Precision precision = Precision::kF32;  ///< of the encoder's products
  /// Of tasks that rank many answers: how many of them. Other tasks refuse it.
  std::optional<int64_t> top_k = std::nullopt;
  /// What the model was trained to read beside the text (load_predictor() sees to it); null for nothing.
  RowNumbersPtr numbers = nullptr;
};

struct TaskEntry {
  const char* name;          ///< the ecosystem's name, e.g. "text-classification"
  const char* architecture;  ///< Hugging Face's class, e.g. "BertForSequenceClassification"
  const char* summary;
  std::unique_ptr<TrainingTask> (*train)(const TrainingSource&);  ///< null: not trained from labelled rows
  std::unique_ptr<Predictor> (*load)(const ModelFiles&, const LoadOptions&);
  /// A class that has this head among others: its checkpoints do not say which task is meant. Or null.
  const char* shared_architecture = nullptr;
};

std::span<const TaskEntry> tasks();
/// Errors: kUsage, with the tasks that there are.
const TaskEntry& find_task(const std::string& name);
/// The same among the tasks that can be trained. Errors: kUsage, which says of others how they are trained.
const TaskEntry& find_training_task(const std::string& name);
/// The task of a model directory: `name` if given, else config.json's "cloze" member, else its architecture.
/// Errors: kUsage if none of them says, or if the architecture has heads for several tasks.
const TaskEntry& task_of(const ModelFiles& files, const std::string& name);

/// Reads rows and visits them in order, some at a time, in constant memory; where the input pauses, or a row is broken
/// or fails `check` (which may be empty), what came before is visited first. Returns how many invalid UTF-8 sequences
/// became U+FFFD.
int64_t visit_rows(ExampleReader& reader, const std::function<void(const TextExample&)>& check,
                   const std::function<void(std::span<const TextExample>)>& visit);

/// visit_rows() whose answers go through `write`. Gives the counts of rows, tokens and so on for the closing summary.
struct StreamCounts {
  LengthCounts lengths;
  int64_t replaced = 0;  ///< invalid UTF-8 sequences that became U+FFFD
};
StreamCounts predict_stream(Predictor& predictor, ExampleReader& reader,
                            const std::function<void(std::span<const std::string>)>& write);

}  // namespace cloze
