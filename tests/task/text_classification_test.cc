// Batches of rows, lengths, and the errors of text-classification.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "cloze/task/batches.h"
#include "cloze/task/task.h"

namespace cloze {
namespace {

Tokenizer sample_tokenizer() {
  return Tokenizer::from_vocabulary(Vocabulary::load(CLOZE_SOURCE_DIR "/samples/vocab_en.txt"));
}

TextExample text_row(std::string text, std::optional<std::string> pair = std::nullopt) {
  TextExample example;
  example.text = std::move(text);
  example.text_pair = std::move(pair);
  return example;
}

TEST(EncodeRows, PairsHaveSegmentsAndLongRowsAreCut) {
  const TextExample rows[] = {text_row("good"), text_row("good", "bad"), text_row(std::string(5000, '!'))};
  const EncodedRows encoded = encode_rows(sample_tokenizer(), rows, {.max_length = 64});
  ASSERT_EQ(encoded.rows(), 3u);
  EXPECT_EQ(encoded.sequences[0].segments, std::vector<int32_t>(encoded.sequences[0].ids.size(), 0));
  EXPECT_EQ(encoded.sequences[1].segments.front(), 0);
  EXPECT_EQ(encoded.sequences[1].segments.back(), 1);
  EXPECT_EQ(encoded.sequences[2].ids.size(), 64u);
  EXPECT_EQ(encoded.dropped, (std::vector<int64_t>{0, 0, 5000 + 2 - 64}));
  EXPECT_EQ(encoded.counts().truncated, 1);
  EXPECT_EQ(encoded.tokens(2), 64);
}

TEST(TokenBatches, CoverAllRowsInOrderAndStayBounded) {
  std::vector<TokenSequence> rows(100);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].ids.resize(i % 7 == 0 ? 3000 : 50);
  size_t next = 0;
  for (const auto& [begin, end] : token_batches(rows)) {
    EXPECT_EQ(begin, next);
    ASSERT_LT(begin, end);
    size_t tokens = 0;
    for (size_t i = begin; i < end; ++i) tokens += rows[i].ids.size();
    EXPECT_TRUE(tokens <= 4096 || end == begin + 1);
    next = end;
  }
  EXPECT_EQ(next, rows.size());
  EXPECT_TRUE(token_batches({}).empty());
}

TEST(CheckVocabulary, RefusesATokenizerThatIsTooLarge) {
  BertConfig config;
  config.vocab_size = 10;
  try {
    check_vocabulary(sample_tokenizer(), config, "DIR");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("vocab_size"), std::string::npos);
  }
}

TEST(Tasks, AreFoundByName) {
  EXPECT_STREQ(find_task("text-classification").architecture, "BertForSequenceClassification");
  try {
    find_task("sentiment");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("text-classification"), std::string::npos);
  }
}

class Training : public testing::Test {
 protected:
  static void expect_refused(const std::string& rows, const std::string& words) {
    const Path file = std::filesystem::temp_directory_path() / ("cloze-task-" + std::to_string(::getpid()) + ".tsv");
    write_file(file, rows);
    TrainingSource source;
    source.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
    source.train = file;
    source.dev = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
    source.scratch_config = BertConfig::preset("tiny");
    try {
      find_task("text-classification").train(source);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
    std::filesystem::remove(file);
  }
};

TEST_F(Training, NeedsRows) {
  expect_refused("label\ttext\n", "no rows");
}
TEST_F(Training, NeedsTwoLabels) {
  expect_refused("label\ttext\na\tx\na\ty\n", "all 2 rows have the label \"a\"");
}
TEST_F(Training, DevLabelsMustBeKnown) {
  expect_refused("label\ttext\na\tx\nb\ty\n", "labels of the data:  negative, positive\n  labels of the model: a, b\n");
}

// What a teacher adds divides by rows alone (loss_of), and a text without a label has no class to be weighed by.
TEST(ClassificationWeights, AreOfTheLabelsLossAloneWhereATeacherTeaches) {
  TrainingSource source;
  source.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
  source.train = CLOZE_SOURCE_DIR "/samples/reviews_en.train.tsv";
  source.scratch_config = BertConfig::preset("tiny");
  source.class_weights = "negative=5";
  const auto plain = find_task("text-classification").train(source);
  double least = 1e9, most = 0;
  for (int64_t row = 0; row < plain->rows(); ++row) {
    least = std::min(least, plain->weight(row));
    most = std::max(most, plain->weight(row));
  }
  EXPECT_EQ(least, 1);
  EXPECT_EQ(most, 5);
  source.teach = [](std::span<const TextExample> rows, const std::vector<std::string>& labels, const std::string&) {
    const Tensor even({static_cast<int64_t>(rows.size()), static_cast<int64_t>(labels.size())}, DType::kF32);
    std::ranges::fill(std::span(even.data<float>(), static_cast<size_t>(even.elements())), 0.5f);
    return even;
  };
  const auto taught = find_task("text-classification").train(source);
  for (int64_t row = 0; row < taught->rows(); ++row) EXPECT_EQ(taught->weight(row), 1);
}

}  // namespace
}  // namespace cloze
