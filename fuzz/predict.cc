// From the bytes of a table to answers: a tiny model answers every row before the first error, with JSON of finite
// scores that sum to 1, and a row alone gets the same line.
#include <cmath>

#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/task/task.h"
#include "fuzz/table_input.h"

namespace cloze::fuzz {
namespace {

/// Writes a model directory: one layer, random weights, labels that need escaping.
void write_model(const ModelFiles& files) {
  std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "##s", "!", "\u4E2D"};
  for (char c = 'a'; c <= 'z'; ++c) pieces.insert(pieces.end(), {std::string(1, c), std::string("##") + c});
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(Vocabulary(pieces));
  BertConfig config;
  config.vocab_size = tokenizer.size();
  config.hidden_size = 16;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.intermediate_size = 24;
  config.max_position_embeddings = 24;
  config.architecture = "BertForSequenceClassification";
  config.labels = {"bad", "so \"so\"", "good \u4E2D"};
  Bert bert(config, Pooler::kWith);
  ClassifierHead head(config, 3);
  ParameterList parameters;
  bert.collect(parameters);
  head.collect(parameters);
  for (Parameter* parameter : parameters) parameter->initialize(1, 0.5);
  tokenizer.save(files.dir());
  files.write_json(ModelFiles::kConfig, config.to_json());
  save_parameters(files, parameters);
}

struct Model {
  Model() : files(ModelFiles::create(folder.path() / "model")) {
    write_model(files);
    for (const char* how : {"truncate", "head-tail", "window"})
      predictors.push_back(task_of(files, "").load(files, {.lengths = {.max_length = 0, .long_texts = how, .stride = -1}}));
  }
  MemoryFolder folder;
  ModelFiles files;
  std::vector<std::unique_ptr<Predictor>> predictors;  ///< one for each way with long texts
};

void check_line(const std::string& line, const RowLimits& limits) {
  const Json object = parse_json(line, "line");
  FUZZ_CHECK(line.find('\n') == std::string::npos && object["scores"].size() == 3, "{}", line);
  double sum = 0, most = 0;
  for (const auto& [label, score] : object["scores"].items()) {
    FUZZ_CHECK(score.is_number() && score.get<double>() >= 0, "{}", line);
    sum += score.get<double>();
    most = std::max(most, score.get<double>());
  }
  FUZZ_CHECK(std::abs(sum - 1) < 1e-5 && object["score"] == most, "{}", line);
  FUZZ_CHECK(object["scores"][object["label"].get<std::string>()] == most, "{}", line);
  const int64_t windows = object["windows"];
  FUZZ_CHECK(windows == 1 || (windows > 1 && limits.long_texts == LongTexts::kWindow), "{}", line);
  FUZZ_CHECK(object["tokens"] >= 2 && object["tokens"] <= limits.max_length * windows, "{}", line);
  FUZZ_CHECK(object["truncated"] >= 0, "{}", line);
}

/// All rows up to the first error, and that error.
std::pair<std::vector<TextExample>, std::string> rows_of(const TableInput& input) {
  std::vector<TextExample> rows;
  std::string error = error_of([&] {
    ExampleReader reader(input.table(), input.options.columns);
    TextExample row;
    while (reader.next(row)) rows.push_back(row);
  });
  return {std::move(rows), std::move(error)};
}

void run(TableInput input) {
  static const Model model;
  Predictor& predictor = *model.predictors[input.bytes.size() % model.predictors.size()];
  input.options.columns.label_need = predictor.prediction_columns().label_need;
  input.options.columns.label.clear();
  const auto [rows, expected_error] = rows_of(input);
  std::vector<std::string> lines;
  const std::string error = error_of([&] {
    ExampleReader reader(input.table(1 + input.bytes.size() / 8), input.options.columns);
    const StreamCounts counts = predict_stream(predictor, reader, [&](std::span<const std::string> some) {
      lines.insert(lines.end(), some.begin(), some.end());
    });
    FUZZ_CHECK(counts.lengths.rows == static_cast<int64_t>(lines.size()), "{} rows", counts.lengths.rows);
  });
  FUZZ_CHECK(error == expected_error, "\"{}\" but \"{}\"", error, expected_error);
  FUZZ_CHECK(lines.size() == rows.size(), "{} lines for {} rows", lines.size(), rows.size());
  for (const std::string& line : lines) check_line(line, predictor.limits());
  constexpr size_t kRowsAlone = 8;
  for (size_t i = 0; i < std::min(rows.size(), kRowsAlone); ++i) {
    const std::vector<std::string> alone = predictor.predict({&rows[i], 1}).lines;
    FUZZ_CHECK(alone.size() == 1 && alone[0] == lines[i], "row {}: {} but {}", i, alone[0], lines[i]);
  }
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  ::setenv("CLOZE_NUM_THREADS", "1", 1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run(cloze::fuzz::TableInput({data, size}));
  return 0;
}
