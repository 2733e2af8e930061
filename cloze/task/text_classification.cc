// text-classification: one text or a pair, one label of several (Devlin et al., 2019, figure 4a and 4b).
#include "cloze/task/text_classification.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "cloze/metrics/classification.h"
#include "cloze/metrics/report.h"
#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/ops/ops.h"
#include "cloze/task/batches.h"

namespace cloze {
namespace {

constexpr const char* kTask = "text-classification";
constexpr const char* kArchitecture = "BertForSequenceClassification";
constexpr const char* kMetrics[] = {"loss",         "accuracy", "f1_macro", "f1_weighted", "precision_macro",
                                    "recall_macro", "mcc"};

bool is_head(const std::string& name) {
  return name.starts_with("classifier.");
}

/// Encoder, pooler and classifier with their tokenizer: what training and prediction share.
struct TextClassifier {
  BertConfig config;
  Tokenizer tokenizer;
  Bert bert;
  ClassifierHead head;
  int64_t max_length;

  TextClassifier(BertConfig c, Tokenizer t, int64_t most_tokens)
      : config(std::move(c)),
        tokenizer(std::move(t)),
        bert(config, Pooler::kWith),
        head(config, static_cast<int64_t>(config.labels.size())),
        max_length(most_tokens) {}

  ParameterList parameters() {
    ParameterList list;
    bert.collect(list);
    head.collect(list);
    return list;
  }
  /// Logits [B,C].
  Var forward(const RaggedBatch& batch, ForwardContext& context) const {
    const Var hidden = bert.forward(batch, context);           // [T,H]
    return head.forward(bert.pooled(hidden, batch), context);  // [B,H] -> [B,C]
  }
  void freeze() {
    bert.freeze();
    head.freeze();
  }
  void thaw() {
    bert.thaw();
    head.thaw();
  }
};

/// Class probabilities of each row, in order; the model must be frozen. Without recording, batch by batch.
std::vector<std::vector<float>> probabilities(const TextClassifier& model, const std::vector<EncodedRow>& rows) {
  const NoGrad no_grad;
  std::vector<std::vector<float>> result(rows.size());
  for (const auto& [begin, end] : token_batches(rows)) {
    ForwardContext context;
    const Tensor p = softmax(model.forward(join_rows(rows, begin, end), context).value());
    const int64_t classes = p.shape()[1];
    for (size_t i = begin; i < end; ++i) {
      const float* row = p.data<float>() + static_cast<int64_t>(i - begin) * classes;
      result[i].assign(row, row + classes);
    }
  }
  return result;
}

int argmax(const std::vector<float>& values) {
  return static_cast<int>(std::ranges::max_element(values) - values.begin());
}

Evaluation evaluate_rows(const TextClassifier& model, const std::vector<EncodedRow>& rows,
                         const std::vector<int>& truth) {
  const auto p = probabilities(model, rows);
  ConfusionMatrix matrix(static_cast<int>(model.config.labels.size()));
  double loss = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    matrix.add(argmax(p[i]), truth[i]);
    loss -= std::log(std::max(static_cast<double>(p[i][static_cast<size_t>(truth[i])]), 1e-30));
  }
  Evaluation result;
  result.rows = static_cast<int64_t>(rows.size());
  result.truncated = std::ranges::count_if(rows, [](const EncodedRow& row) { return row.dropped > 0; });
  const Scores macro = macro_average(matrix), weighted = weighted_average(matrix);
  const double values[] = {rows.empty() ? std::nan("") : loss / static_cast<double>(rows.size()),
                           accuracy(matrix),
                           macro.f1,
                           weighted.f1,
                           macro.precision,
                           macro.recall,
                           matthews_correlation(matrix)};
  static_assert(std::size(values) == std::size(kMetrics));
  for (size_t i = 0; i < std::size(kMetrics); ++i) result.metrics.emplace_back(kMetrics[i], values[i]);
  result.text = class_table(matrix, model.config.labels) + "\n" + confusion_text(matrix, model.config.labels);
  return result;
}

/// Ids of the rows' labels. Errors: kValue for a label that the model does not know.
std::vector<int> label_ids(std::span<const TextExample> rows, const std::vector<std::string>& labels,
                           const std::string& what) {
  std::map<std::string, int> ids;
  for (size_t i = 0; i < labels.size(); ++i) ids[labels[i]] = static_cast<int>(i);
  std::vector<int> result;
  for (const TextExample& row : rows) {
    CLOZE_CHECK(row.label.has_value(), ErrorCode::kFormat, "{} line {}: the row has no label", what, row.line);
    const auto found = ids.find(*row.label);
    CLOZE_CHECK(found != ids.end(), ErrorCode::kValue, "{} line {}: the label \"{}\" is not one of the model's: {}",
                what, row.line, *row.label, shorten_list(labels));
    result.push_back(found->second);
  }
  return result;
}

/// Labels of the training rows in order: as numbers if all are integers, else by bytes.
std::vector<std::string> collect_labels(std::span<const TextExample> rows, const std::string& file) {
  std::set<std::string> names;
  for (const TextExample& row : rows) names.insert(row.label.value_or(""));
  std::vector<std::string> labels(names.begin(), names.end());
  CLOZE_CHECK(
      labels.size() >= 2, ErrorCode::kValue, "{}: {}; a classifier needs at least two labels", file,
      labels.empty() ? "there are no rows" : fmt::format("all {} rows have the label \"{}\"", rows.size(), labels[0]));
  const auto number = [](const std::string& text, int64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  int64_t ignored = 0;
  if (std::ranges::all_of(labels, [&](const std::string& label) { return number(label, ignored); }))
    std::ranges::sort(labels, {}, [&](const std::string& label) {
      int64_t v = 0;
      number(label, v);
      return v;
    });
  return labels;
}

class ClassificationTraining : public TrainingTask {
 public:
  explicit ClassificationTraining(const TrainingSource& source) : label_smoothing_(source.label_smoothing) {
    ExampleOptions options = source.examples;
    options.columns.label_need = Need::kRequired;
    const Examples train = read_all(source.train, options);
    CLOZE_CHECK(!train.rows.empty(), ErrorCode::kValue, "{}: there are no rows", source.train.string());
    const std::vector<std::string> labels = collect_labels(train.rows, source.train.string());
    summary_.push_back(
        fmt::format("train: {} rows of {}, {}", train.rows.size(), source.train.string(), describe(train.columns)));
    make_model(source, labels);
    train_ = encode_rows(model_->tokenizer, train.rows, model_->max_length);
    train_labels_ = label_ids(train.rows, model_->config.labels, source.train.string());
    note_truncation("train", train_);
    if (!source.dev.empty()) {
      const Examples dev = read_all(source.dev, options);
      CLOZE_CHECK(!dev.rows.empty(), ErrorCode::kValue, "{}: there are no rows", source.dev.string());
      summary_.push_back(
          fmt::format("dev: {} rows of {}, {}", dev.rows.size(), source.dev.string(), describe(dev.columns)));
      dev_ = encode_rows(model_->tokenizer, dev.rows, model_->max_length);
      dev_labels_ = label_ids(dev.rows, model_->config.labels, source.dev.string());
      note_truncation("dev", dev_);
    }
    const std::vector<std::string>& names = model_->config.labels;
    summary_.push_back(fmt::format("labels: {} ({})", names.size(), shorten_list(names)));
    summary_.push_back(fmt::format("model: {} layers, hidden {}, {} heads, vocabulary {}, {} parameters",
                                   model_->config.num_hidden_layers, model_->config.hidden_size,
                                   model_->config.num_attention_heads, model_->config.vocab_size,
                                   count_elements(model_->parameters())));
  }

  ParameterList parameters() override { return model_->parameters(); }
  int64_t rows() const override { return static_cast<int64_t>(train_.size()); }
  int64_t tokens(int64_t row) const override {
    return static_cast<int64_t>(train_[static_cast<size_t>(row)].ids.size());
  }

  Var loss(std::span<const int64_t> rows, ForwardContext& context) override {
    std::vector<int32_t> targets;
    for (const int64_t row : rows) targets.push_back(train_labels_[static_cast<size_t>(row)]);
    const Var logits = model_->forward(join_rows(train_, rows), context);
    return cross_entropy(logits, Tensor::of(Shape({static_cast<int64_t>(rows.size())}), targets), {}, label_smoothing_);
  }

  bool has_dev() const override { return !dev_.empty(); }
  Evaluation evaluate() override {
    model_->freeze();
    Evaluation result = evaluate_rows(*model_, dev_, dev_labels_);
    model_->thaw();
    return result;
  }
  std::string headline_metric() const override { return "accuracy"; }
  std::vector<std::string> metric_names() const override { return {std::begin(kMetrics), std::end(kMetrics)}; }

  void save(const ModelFiles& files) override {
    model_->tokenizer.save(files.dir());
    files.write_json(ModelFiles::kConfig, model_->config.to_json());
    save_parameters(files, model_->parameters());
  }
  std::vector<std::string> summary() const override { return summary_; }

 private:
  void make_model(const TrainingSource& source, const std::vector<std::string>& labels) {
    const bool scratch = source.model.empty();
    BertConfig config = scratch ? source.scratch_config : load_config(ModelFiles::open(source.model));
    Tokenizer tokenizer = scratch ? scratch_tokenizer(source) : Tokenizer::load(source.model);
    if (scratch) config.vocab_size = tokenizer.size();
    check_vocabulary(tokenizer, config, scratch ? source.vocab : source.model);
    // A head trained on the same labels, in whatever order they come here, is kept with its own order.
    const std::set<std::string> wanted(labels.begin(), labels.end()),
        present(config.labels.begin(), config.labels.end());
    const bool same_labels = wanted == present && config.architecture == kArchitecture;
    if (!same_labels) config.labels = labels;
    config.architecture = kArchitecture;
    config.cloze["task"] = kTask;
    if (source.dropout >= 0) {
      config.hidden_dropout_prob = config.attention_probs_dropout_prob = source.dropout;
      config.source.erase("classifier_dropout");
    }
    const int64_t most = usable_length(tokenizer, config, source.max_length);
    config.cloze["max_length"] = most;
    model_ = std::make_unique<TextClassifier>(std::move(config), std::move(tokenizer), most);
    if (scratch) {
      for (Parameter* parameter : model_->parameters())
        parameter->initialize(source.seed, model_->config.initializer_range);
      summary_.emplace_back("weights: all initialised at random (from scratch)");
      return;
    }
    Weights weights{Path(source.model)};
    ParameterList encoder;
    model_->bert.collect(encoder);
    LoadReport report;
    if (same_labels) {
      report = load_parameters(weights, model_->parameters(), model_->config.initializer_range, source.seed,
                               may_start_fresh);
    } else {
      report = load_parameters(weights, encoder, model_->config.initializer_range, source.seed, may_start_fresh);
      ParameterList fresh;
      model_->head.collect(fresh);
      for (Parameter* parameter : fresh) {
        parameter->initialize(source.seed, model_->config.initializer_range);
        report.initialised.push_back(parameter->name);
      }
    }
    summary_.push_back("weights: " + report.text());
  }

  /// Heads and the pooler may be new; the encoder must be there.
  static bool may_start_fresh(const std::string& name) { return is_head(name) || name.starts_with("bert.pooler."); }

  void note_truncation(const char* what, const std::vector<EncodedRow>& rows) {
    const auto cut = std::ranges::count_if(rows, [](const EncodedRow& row) { return row.dropped > 0; });
    if (cut > 0)
      summary_.push_back(fmt::format("{}: {} of {} rows cut to {} tokens", what, cut, rows.size(), model_->max_length));
  }

  double label_smoothing_;
  std::unique_ptr<TextClassifier> model_;
  std::vector<EncodedRow> train_, dev_;
  std::vector<int> train_labels_, dev_labels_;
  std::vector<std::string> summary_;
};

class ClassificationPredictor : public Predictor {
 public:
  ClassificationPredictor(const ModelFiles& files, int64_t max_length) {
    BertConfig config = load_config(files);
    const std::string where = files.path(ModelFiles::kConfig).string();
    Weights weights{files.dir()};
    const std::optional<Shape> head = weights.shape_of("classifier.weight");
    CLOZE_CHECK(head.has_value(), ErrorCode::kNotFound,
                "{} has no classifier (tensor \"classifier.weight\"): it was not trained for {}. Train one with: cloze "
                "finetune --task {} "
                "--model {} --train FILE --output DIR",
                files.dir().string(), kTask, kTask, files.dir().string());
    const int64_t classes = head->rank() == 2 ? (*head)[0] : 0;
    if (config.labels.empty())
      for (int64_t i = 0; i < classes; ++i) config.labels.push_back(fmt::format("LABEL_{}", i));
    CLOZE_CHECK(static_cast<int64_t>(config.labels.size()) == classes, ErrorCode::kFormat,
                "{}: \"id2label\" names {} labels, but classifier.weight is {}", where, config.labels.size(), *head);
    Tokenizer tokenizer = Tokenizer::load(files.dir());
    check_vocabulary(tokenizer, config, files.dir().string());
    const int64_t noted = json_int_or(config.cloze, "max_length", 0, where);
    const int64_t most = usable_length(tokenizer, config, max_length != 0 ? max_length : noted);
    model_ = std::make_unique<TextClassifier>(std::move(config), std::move(tokenizer), most);
    report_ = load_parameters(weights, model_->parameters(), 0, 0, [](const std::string&) { return false; });
    model_->freeze();
  }

  std::vector<std::string> predict(std::span<const TextExample> rows) override {
    const std::vector<EncodedRow> encoded = encode_rows(model_->tokenizer, rows, model_->max_length);
    const auto p = probabilities(*model_, encoded);
    const std::vector<std::string>& labels = model_->config.labels;
    std::vector<std::string> lines;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t best = static_cast<size_t>(argmax(p[i]));
      JsonLine line;
      line.begin_object().member("label", labels[best]).member("score", p[i][best]).key("scores").begin_object();
      for (size_t c = 0; c < labels.size(); ++c) line.member(labels[c], p[i][c]);
      line.end_object().member("tokens", static_cast<int64_t>(encoded[i].ids.size()));
      line.member("truncated", encoded[i].dropped).end_object();
      lines.push_back(line.text());
    }
    return lines;
  }

  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override {
    return evaluate_rows(*model_, encode_rows(model_->tokenizer, rows, model_->max_length),
                         label_ids(rows, model_->config.labels, file));
  }

  ColumnOptions prediction_columns() const override {
    ColumnOptions columns;
    columns.label_need = Need::kIgnored;
    return columns;
  }
  const LoadReport& load_report() const override { return report_; }

 private:
  std::unique_ptr<TextClassifier> model_;
  LoadReport report_;
};

}  // namespace

std::unique_ptr<TrainingTask> train_text_classification(const TrainingSource& source) {
  return std::make_unique<ClassificationTraining>(source);
}

std::unique_ptr<Predictor> load_text_classification(const ModelFiles& files, int64_t max_length) {
  return std::make_unique<ClassificationPredictor>(files, max_length);
}

}  // namespace cloze
