// Rows answered by a model of text-classification.
#include <memory>

#include "cloze/task/class_answers.h"
#include "cloze/task/class_labels.h"
#include "cloze/task/text_classification.h"
#include "cloze/task/text_classifier.h"

namespace cloze {
namespace {

class ClassificationPredictor : public Predictor {
 public:
  ClassificationPredictor(const ModelFiles& files, const LoadOptions& options) {
    refuse_top_k(options, kTextClassification);
    BertConfig config = load_config(files);
    const std::string where = files.path(ModelFiles::kConfig).string();
    Weights weights{files.dir()};
    const std::optional<Shape> head = weights.shape_of("classifier.weight");
    CLOZE_CHECK(head.has_value(), ErrorCode::kNotFound,
                "{} has no classifier (tensor \"classifier.weight\"): it was not trained for {}. Train one with: cloze "
                "finetune --task {} --model {} --train FILE --output DIR",
                files.dir().string(), kTextClassification, kTextClassification, files.dir().string());
    const int64_t classes = head->rank() == 2 ? (*head)[0] : 0;
    // A head that was trained here has one class of several, whatever the model did before.
    const bool own = json_string_or(config.cloze, "task", "", where) == kTextClassification;
    const std::string problem = own ? "" : json_string_or(config.source, "problem_type", "", where);
    CLOZE_CHECK(classes != 1 && problem != "regression" && problem != "multi_label_classification",
                ErrorCode::kUnsupported, "{}: the model {}, but {} answers with one class of several", where,
                problem == "multi_label_classification" ? "gives several labels a row (\"problem_type\")"
                                                        : "gives a number (one output)",
                kTextClassification);
    if (config.labels.empty())
      for (int64_t i = 0; i < classes; ++i) config.labels.push_back(fmt::format("LABEL_{}", i));
    CLOZE_CHECK(static_cast<int64_t>(config.labels.size()) == classes, ErrorCode::kFormat,
                "{}: \"id2label\" names {} labels, but classifier.weight is {}", where, config.labels.size(), *head);
    const bool numbers = json_bool_or(config.cloze, kNumbersKey, false, where);
    CLOZE_CHECK(numbers == (options.numbers != nullptr), ErrorCode::kUnsupported,
                "{} was {} to read numbers beside the text", files.dir().string(), numbers ? "trained" : "not trained");
    Tokenizer tokenizer = Tokenizer::load(files.dir());
    check_vocabulary(tokenizer, config, files.dir().string());
    const RowLimits limits = resolve_limits(options.lengths, tokenizer, config, where);
    model_ = std::make_unique<TextClassifier>(std::move(config), std::move(tokenizer), limits, options.numbers);
    report_ = load_parameters(
        weights, model_->parameters(), 0, 0, [](const std::string&) { return false; }, Compact::kKeep);
    model_->freeze(options.precision);
  }

  ClassifiedRows classify(std::span<const TextExample> rows, const std::string& file) override {
    ClassifierRows encoded = encode_rows(*model_, rows, file);
    const Tensor probabilities = class_probabilities(*model_, encoded);
    return {probabilities, std::move(encoded.text)};
  }
  const std::vector<std::string>& class_labels() const override { return model_->config.labels; }

  Answers predict(std::span<const TextExample> rows) override {
    const ClassifiedRows found = classify(rows, "the row");
    return class_answers(found.probabilities, class_labels(), found.rows);
  }

  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override {
    const std::vector<int> truth = label_ids(rows, model_->config.labels, file);
    return evaluate_classifier(*model_, encode_rows(*model_, rows, file), truth);
  }

  ColumnOptions prediction_columns() const override {
    ColumnOptions columns;
    columns.label_need = Need::kIgnored;
    if (model_->numbers) columns.extra = model_->numbers->columns();
    return columns;
  }
  ColumnOptions evaluation_columns() const override {
    ColumnOptions columns;
    if (model_->numbers) columns.extra = model_->numbers->columns();
    return columns;
  }
  void check(const TextExample& row, const std::string& file) const override {
    if (model_->numbers) model_->numbers->check(row, file);
  }
  TextExample sample_row() const override {
    TextExample row = Predictor::sample_row();
    if (model_->numbers) row.extra.resize(model_->numbers->columns().size());
    return row;
  }
  const LoadReport& load_report() const override { return report_; }
  const RowLimits& limits() const override { return model_->limits; }

 private:
  std::unique_ptr<TextClassifier> model_;
  LoadReport report_;
};

}  // namespace

std::unique_ptr<Predictor> load_text_classification(const ModelFiles& files, const LoadOptions& options) {
  return std::make_unique<ClassificationPredictor>(files, options);
}

}  // namespace cloze
