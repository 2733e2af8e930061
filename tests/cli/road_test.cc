// The main road: labelled file, training, evaluation, predictions; in the program, from outside.
#include <algorithm>
#include <sstream>
#include <vector>

#include "cloze/base/json.h"
#include "program.h"

namespace cloze::test {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Road : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    place = new Workplace;
    const Outcome trained =
        place->cloze(quick_training((*place / "model").string(), "--dev " + sample("reviews_en.test.tsv")));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_EQ(trained.out, "");
  }
  static void TearDownTestSuite() { delete place; }
  static std::string model() { return (*place / "model").string(); }
  static inline Workplace* place = nullptr;
};

TEST_F(Road, LeavesAHuggingFaceDirectory) {
  for (const char* name : {"config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
                           "run.json", "metrics.jsonl"})
    EXPECT_TRUE(std::filesystem::exists(Path(model()) / name)) << name;
  EXPECT_FALSE(std::filesystem::exists(Path(model()) / "resume.safetensors"));
  const Json config = parse_json(read_file(Path(model()) / "config.json"), "config.json");
  EXPECT_EQ(config["architectures"][0], "BertForSequenceClassification");
  EXPECT_EQ(config["id2label"]["0"], "negative");
  EXPECT_EQ(config["label2id"]["positive"], 1);
  EXPECT_EQ(config["cloze"]["task"], "text-classification");
  EXPECT_EQ(lines_of(read_file(Path(model()) / "metrics.jsonl")).size(), 2u);
}

void evaluates_to_one_object(const Workplace& place, const std::string& model) {
  const Outcome result = place.cloze("evaluate --model " + model + " --data " + sample("reviews_en.test.tsv"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  ASSERT_EQ(lines_of(result.out).size(), 1u);
  const Json metrics = parse_json(result.out, "stdout");
  EXPECT_EQ(metrics["rows"], 100);
  for (const char* name : {"loss", "accuracy", "f1_macro", "f1_weighted", "mcc"})
    EXPECT_TRUE(metrics[name].is_number()) << name;
  EXPECT_NE(result.err.find("precision"), std::string::npos);
}
TEST_F(Road, EvaluatesToOneObject) {
  evaluates_to_one_object(*place, model());
}

void predicts_each_row_in_order(const Workplace& place, const std::string& model) {
  const Outcome result = place.cloze("predict --model " + model, "great\n\nbad and broken\r\nno line end");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 4u);
  for (const std::string& line : lines) {
    const Json row = parse_json(line, "stdout");
    const double sum = row["scores"]["positive"].get<double>() + row["scores"]["negative"].get<double>();
    EXPECT_NEAR(sum, 1.0, 1e-6);
    EXPECT_EQ(row["score"], row["scores"][row["label"].get<std::string>()]);
    EXPECT_EQ(row["truncated"], 0);
  }
  EXPECT_EQ(parse_json(lines[1], "stdout")["tokens"], 2) << "an empty line is a row: [CLS] [SEP]";
}
TEST_F(Road, PredictsEachRowInOrder) {
  predicts_each_row_in_order(*place, model());
}

void a_rows_bits_do_not_depend_on_its_neighbours(const Workplace& place, const std::string& model) {
  const auto rows = lines_of(read_file(sample("reviews_en.test.tsv")));
  std::string forward, backward;
  for (size_t i = 1; i < rows.size(); ++i) forward += rows[i].substr(rows[i].find('\t') + 1) + "\n";
  for (size_t i = rows.size() - 1; i >= 1; --i) backward += rows[i].substr(rows[i].find('\t') + 1) + "\n";
  const auto one = lines_of(place.cloze("predict --threads 1 --model " + model, forward).out);
  auto other = lines_of(place.cloze("predict --threads 3 --model " + model, backward).out);
  std::ranges::reverse(other);
  ASSERT_EQ(one.size(), 100u);
  EXPECT_EQ(one, other);
  const std::string first = rows[1].substr(rows[1].find('\t') + 1) + "\n";
  EXPECT_EQ(lines_of(place.cloze("predict --model " + model, first).out).at(0), one[0]);
}
TEST_F(Road, ARowsBitsDoNotDependOnItsNeighbours) {
  a_rows_bits_do_not_depend_on_its_neighbours(*place, model());
}

void predict_reads_tables_and_broken_utf8(const Workplace& place, const std::string& model) {
  const Path csv = place.write("rows.csv", "id,review\n1,\"two\nlines\"\n2,plain\n");
  const Outcome table = place.cloze("predict --model " + model + " --input " + csv.string());
  EXPECT_EQ(lines_of(table.out).size(), 2u) << table.err;
  const Outcome broken = place.cloze("predict --model " + model, "caf\xe9\n");
  EXPECT_EQ(broken.exit_code, 0);
  EXPECT_EQ(lines_of(broken.out).size(), 1u);
  EXPECT_NE(broken.err.find("1 invalid UTF-8"), std::string::npos) << broken.err;
}
TEST_F(Road, PredictReadsTablesAndBrokenUtf8) {
  predict_reads_tables_and_broken_utf8(*place, model());
}

void answers_what_came_before_a_bad_row(const Workplace& place, const std::string& model) {
  const Path jsonl = place.write("rows.jsonl", "{\"text\": \"good\"}\n{\"text\": 5}\n");
  const Outcome result = place.cloze("predict --model " + model + " --input " + jsonl.string());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(lines_of(result.out).size(), 1u);
  EXPECT_NE(result.err.find("line 2"), std::string::npos) << result.err;
}
TEST_F(Road, AnswersWhatCameBeforeABadRow) {
  answers_what_came_before_a_bad_row(*place, model());
}

void tokenizes_and_explains(const Workplace& place, const std::string& model) {
  const Outcome result = place.cloze("tokenize --model " + model, "Great!\n");
  const Json row = parse_json(result.out, "stdout");
  EXPECT_EQ(row["tokens"].front(), "[CLS]");
  EXPECT_EQ(row["tokens"].back(), "[SEP]");
  EXPECT_EQ(row["offsets"].front(), Json::array({0, 0}));
  EXPECT_EQ(row["ids"].size(), row["tokens"].size());
  const Outcome words = place.cloze("tokenize --explain --model " + model + " --text 'Great!'");
  EXPECT_EQ(words.exit_code, 0);
  EXPECT_NE(words.out.find("great"), std::string::npos);
}
TEST_F(Road, TokenizesAndExplains) {
  tokenizes_and_explains(*place, model());
}

void goes_on_from_its_own_head(const Workplace& place, const std::string& model) {
  const Outcome again =
      place.cloze("finetune --task text-classification --model " + model + " --train " +
                  sample("reviews_en.train.tsv") + " --epochs 1 --output " + (place / "again").string());
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.err.find("initialised anew"), std::string::npos) << again.err;
}
TEST_F(Road, GoesOnFromItsOwnHead) {
  goes_on_from_its_own_head(*place, model());
}

void new_labels_get_a_new_head(const Workplace& place, const std::string& model) {
  const Outcome fresh = place.cloze("finetune --task text-classification --model " + model + " --train " +
                                    sample("reviews_zh.train.tsv") + " --epochs 1 --output " + (place / "zh").string());
  ASSERT_EQ(fresh.exit_code, 0) << fresh.err;
  EXPECT_NE(fresh.err.find("classifier.weight"), std::string::npos) << fresh.err;
  EXPECT_NE(read_file(place / "zh" / "config.json").find("正面"), std::string::npos);
}
TEST_F(Road, NewLabelsGetANewHead) {
  new_labels_get_a_new_head(*place, model());
}

void info_and_bench_tell(const Workplace& place, const std::string& model) {
  const Json facts = parse_json(place.cloze("info --json " + model).out, "stdout");
  EXPECT_EQ(facts["layers"], 1);
  EXPECT_EQ(facts["trained_heads"][0], "classifier");
  for (const char* mode : {"infer", "train"}) {
    const Outcome timed = place.cloze("bench --runs 2 --length 16 --mode " + std::string(mode) + " --model " + model);
    const Json row = parse_json(timed.out, "stdout");
    for (const char* key : {"engine", "seconds_median", "seconds_min", "gflops", "rows_per_s", "peak_bytes"})
      EXPECT_TRUE(row.contains(key)) << key;
  }
}
TEST_F(Road, InfoAndBenchTell) {
  info_and_bench_tell(*place, model());
}

/// How a compressed model is made of the trained one, a command after the other.
struct Form {
  const char* name;
  std::vector<const char*> commands;
};

class CompressedRoad : public testing::TestWithParam<Form> {};

TEST_P(CompressedRoad, IsWalkedLikeTheWholeOne) {
  const Workplace place;
  std::string model = (place / "model-0").string();
  ASSERT_EQ(place.cloze(quick_training(model)).exit_code, 0);
  int made = 0;
  for (const char* command : GetParam().commands) {
    const std::string next = (place / ("model-" + std::to_string(++made))).string();
    const Outcome outcome = place.cloze(std::string(command) + " --model " + model + " --output " + next);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    model = next;
  }
  EXPECT_LT(std::filesystem::file_size(Path(model) / "model.safetensors"),
            std::filesystem::file_size(place / "model-0" / "model.safetensors"));
  evaluates_to_one_object(place, model);
  predicts_each_row_in_order(place, model);
  a_rows_bits_do_not_depend_on_its_neighbours(place, model);
  predict_reads_tables_and_broken_utf8(place, model);
  answers_what_came_before_a_bad_row(place, model);
  tokenizes_and_explains(place, model);
  goes_on_from_its_own_head(place, model);
  new_labels_get_a_new_head(place, model);
  info_and_bench_tell(place, model);
}

const std::string kVocabularyOfTheRows = "prune --vocabulary " + sample("reviews_en.train.tsv");
const std::string kMeasuredInputs = "quantize --calibrate " + sample("reviews_en.train.tsv");

INSTANTIATE_TEST_SUITE_P(
    Forms, CompressedRoad,
    testing::Values(Form{"Pruned", {"prune --keep heads=0.5,ffn=0.5 --multiple 4"}},
                    Form{"NoHeads", {"prune --keep heads=0,ffn=0.25 --multiple 4"}},
                    Form{"NoNeurons", {"prune --keep ffn=0"}}, Form{"Narrow", {"prune --keep hidden=0.5 --multiple 4"}},
                    Form{"FewPieces", {kVocabularyOfTheRows.c_str()}}, Form{"Sparse", {"prune --sparsity 0.9"}},
                    Form{"SparseBlocks", {"prune --sparsity 0.9 --zero-blocks"}},
                    Form{"HalfWidth", {"quantize --weights bf16"}}, Form{"EightBits", {"quantize --rest f16"}},
                    Form{"MeasuredInputs", {kMeasuredInputs.c_str()}},
                    Form{"PrunedInEightBits", {"prune --keep heads=0.5,ffn=0.5 --multiple 4", "quantize"}},
                    Form{"EightBitsPruned", {"quantize", "prune --keep heads=0.5,ffn=0.5 --multiple 4"}},
                    Form{"SparseInEightBits", {"prune --sparsity 0.9", "quantize"}}),
    [](const auto& form) { return form.param.name; });

TEST(Program, SaysWhatIsWrong) {
  const Workplace place;
  const Path rows = place.write("rows.tsv", "label\ttext\na\tx\nb\ty\n");
  const struct {
    std::string arguments;
    int exit_code;
    std::string words;
  } cases[] = {
      {"", 2, "cloze --help"},
      {"finetune", 2, "--task"},
      {"fintune", 2, "did you mean finetune?"},
      {"finetune --lerning-rate 3", 2, "did you mean --learning-rate?"},
      {"predict --modle=x", 2, "did you mean --model?"},
      {"predict --model /nowhere", 1, "/nowhere"},
      {"predict --model " + (place / "rows.tsv").string(), 2, "rows.tsv"},
      {"finetune --task text-classificaton --from-scratch --vocab v --train t --output o", 2, "text-classification"},
      {"finetune --task text-classification --train " + rows.string() + " --output " + (place / "o").string(), 2,
       "--from-scratch"},
      {"finetune --task text-classification --from-scratch --train " + rows.string() + " --output " +
           (place / "o").string(),
       2, "--vocab"},
      {"finetune --task text-classification --from-scratch --vocab " + sample("vocab_en.txt") + " --train " +
           rows.string() + " --output " + (place / "o").string() + " --label lable",
       2, "label"},
      {"finetune --task text-classification --from-scratch --vocab " + sample("vocab_en.txt") + " --train " +
           rows.string() + " --output " + (place / "o").string() + " --epochs 0",
       2, "--epochs"},
  };
  for (const auto& one : cases) {
    const Outcome result = place.cloze(one.arguments);
    EXPECT_EQ(result.exit_code, one.exit_code) << one.arguments << "\n" << result.err;
    EXPECT_NE(result.err.find(one.words), std::string::npos) << one.arguments << "\n" << result.err;
    EXPECT_EQ(result.out, "") << one.arguments;
  }
  EXPECT_FALSE(std::filesystem::exists(place / "o"));
}

TEST(Program, ResumeLeavesAModelThatIsNoRunAlone) {
  const Workplace place;
  const std::string output = (place / "model").string();
  ASSERT_EQ(place.cloze(quick_training(output)).exit_code, 0);
  std::filesystem::remove(Path(output) / "run.json");
  const std::string before = read_file(Path(output) / "model.safetensors");
  const Outcome refused = place.cloze(quick_training(output, "--resume"));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("but no run"), std::string::npos) << refused.err;
  EXPECT_EQ(read_file(Path(output) / "model.safetensors"), before);
}

TEST(Program, AFullFolderIsNotOverwrittenUnasked) {
  const Workplace place;
  const std::string output = (place / "model").string();
  ASSERT_EQ(place.cloze(quick_training(output)).exit_code, 0);
  const std::string before = read_file(Path(output) / "model.safetensors");
  const Outcome refused = place.cloze(quick_training(output));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--overwrite"), std::string::npos);
  EXPECT_EQ(read_file(Path(output) / "model.safetensors"), before);
  const Outcome done = place.cloze(quick_training(output, "--resume"));
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_NE(done.err.find("finished already"), std::string::npos) << done.err;
  EXPECT_EQ(place.cloze(quick_training(output, "--overwrite")).exit_code, 0);
  EXPECT_EQ(read_file(Path(output) / "model.safetensors"), before) << "same seed, same threads: same bits";
}

}  // namespace
}  // namespace cloze::test
