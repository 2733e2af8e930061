// next-sentence-prediction (Devlin et al., 2019, section 3.1, task 2).
#include "cloze/task/next_sentence.h"

#include "cloze/task/class_answers.h"
#include "cloze/task/pretrained.h"

namespace cloze {
namespace {

constexpr const char* kNextSentence = "next-sentence-prediction";

const std::vector<std::string>& labels() {
  static const std::vector<std::string> names = {"is_next", "not_next"};
  return names;
}

std::vector<int> classes_of(std::span<const TextExample> rows, const std::string& file) {
  std::vector<int> classes;
  for (const TextExample& row : rows) {
    CLOZE_CHECK(row.label.has_value(), ErrorCode::kFormat, "{}: the row has no label", place_of(row, file));
    const bool next = *row.label == labels()[0] || *row.label == "1";
    const bool other = *row.label == labels()[1] || *row.label == "0";
    CLOZE_CHECK(next || other, ErrorCode::kValue,
                "{}: the label must be is_next or 1 (the second text follows), not_next or 0, found \"{}\"",
                place_of(row, file), *row.label);
    classes.push_back(next ? 0 : 1);
  }
  return classes;
}

class NextSentencePredictor : public Predictor {
 public:
  NextSentencePredictor(const ModelFiles& files, const LoadOptions& options) {
    refuse_top_k(options, kNextSentence);
    loaded_ = load_pretrained(files, options, {.masked_words = false, .next_sentence = true}, kNextSentence,
                              "BertForNextSentencePrediction and BertForPreTraining");
  }

  Answers predict(std::span<const TextExample> rows) override {
    const EncodedRows encoded = encode(rows, "");
    return class_answers(probabilities(encoded), labels(), encoded);
  }

  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override {
    const std::vector<int> truth = classes_of(rows, file);
    const EncodedRows encoded = encode(rows, file);
    return evaluate_classes(probabilities(encoded), labels(), encoded, truth);
  }

  void check(const TextExample& row, const std::string& file) const override {
    CLOZE_CHECK(row.text_pair.has_value(), ErrorCode::kFormat, "{}: {} needs two texts a row, found one",
                place_of(row, file), kNextSentence);
  }
  ColumnOptions prediction_columns() const override {
    ColumnOptions columns = evaluation_columns();
    columns.label_need = Need::kIgnored;
    return columns;
  }
  ColumnOptions evaluation_columns() const override {
    ColumnOptions columns;
    columns.text_pair_need = Need::kRequired;
    return columns;
  }
  TextExample sample_row() const override {
    TextExample row = Predictor::sample_row();
    row.text_pair = row.text;
    return row;
  }
  const LoadReport& load_report() const override { return loaded_->report; }
  const RowLimits& limits() const override { return loaded_->limits; }

 private:
  EncodedRows encode(std::span<const TextExample> rows, const std::string& file) const {
    for (const TextExample& row : rows) check(row, file);
    return encode_rows(loaded_->tokenizer, rows, loaded_->limits);
  }
  Tensor probabilities(const EncodedRows& rows) const {
    const auto logits = [&](const RaggedBatch& batch, ForwardContext& context) {
      return loaded_->model.next_sentence_logits(batch, context);
    };
    return class_probabilities(logits, static_cast<int64_t>(labels().size()), rows);
  }

  std::unique_ptr<Pretrained> loaded_;
};

}  // namespace

std::unique_ptr<Predictor> load_next_sentence_prediction(const ModelFiles& files, const LoadOptions& options) {
  return std::make_unique<NextSentencePredictor>(files, options);
}

}  // namespace cloze
