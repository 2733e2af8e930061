// Against the peer, Hugging Face tokenizers, on hostile lines (hostile_text.h): hashes of its ids and offsets by block,
// vocabulary and setting, made by tools/golden_tokenizer.js from the files that the first test here writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "cloze/base/error.h"
#include "cloze/text/tokenizer.h"
#include "tests/text/golden_hash.h"
#include "tests/text/hostile_text.h"

namespace cloze {
namespace {

/// A tool: with CLOZE_HOSTILE_DIR in the environment it writes BLOCK.txt for each block there, and vocab_every.txt.
TEST(HostileText, WritesItsFilesWhereTheEnvironmentSays) {
  const char* folder = std::getenv("CLOZE_HOSTILE_DIR");
  if (!folder) GTEST_SKIP() << "no CLOZE_HOSTILE_DIR in the environment";
  for (const HostileBlock& block : hostile_blocks())
    write_file(Path(folder) / (std::string(block.name) + ".txt"), hostile_text(block));
  Vocabulary(every_character_vocabulary()).save(Path(folder) / "vocab_every.txt");
}

NormalizerOptions normalizer_of_setting(const std::string& setting) {
  if (setting == "uncased") return {};
  if (setting == "cased") return {.lowercase = false};
  if (setting == "accents")
    return {.clean_text = false, .handle_chinese_chars = false, .strip_accents = true, .lowercase = false};
  CLOZE_CHECK(setting == "plain", ErrorCode::kFormat, "hostile.tsv names no setting \"{}\"", setting);
  return {.clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false};
}

/// Nothing if the vocabulary is one of the real ones and they are not here.
std::optional<Vocabulary> vocabulary_of(const std::string& name) {
  if (name == "every") return Vocabulary(every_character_vocabulary());
  const Path root = CLOZE_SOURCE_DIR;
  const Path path = name.starts_with("bert-") ? root / "../shared/data/vocab" / name / "vocab.txt" : root / name;
  if (name.starts_with("bert-") && !std::filesystem::exists(path)) return std::nullopt;
  return Vocabulary::load(path);
}

struct GoldenRow {
  std::string block, vocabulary, setting;
  int64_t lines = 0;
  GoldenHash hash;
};

std::vector<GoldenRow> golden_rows() {
  LineReader table(Path(CLOZE_SOURCE_DIR) / "tests/text/golden/hostile.tsv");
  std::vector<GoldenRow> rows;
  while (const auto line = table.next()) {
    std::istringstream fields{std::string(*line)};
    GoldenRow& row = rows.emplace_back();
    fields >> row.block >> row.vocabulary >> row.setting >> row.lines >> row.hash.a >> row.hash.b;
  }
  return rows;
}

/// Hash of the lines' answers as the generator of hostile.tsv takes it; ids alone must be the same on the other way.
GoldenHash hash_of(const Tokenizer& tokenizer, std::string_view text, int64_t& lines) {
  GoldenHash hash;
  std::vector<int32_t> ids;
  for (size_t at = 0; at < text.size(); ++lines) {
    const size_t end = text.find('\n', at);
    const std::string_view line = text.substr(at, end - at);
    const Encoding encoding = tokenizer.encode(line);
    hash.add(encoding, encoding.counts.replaced_sequences);
    ids.clear();
    tokenizer.encode_ids(line, ids);
    if (ids != encoding.ids) ADD_FAILURE() << "encode_ids and encode differ in line " << lines + 1;
    at = end + 1;
  }
  return hash;
}

/// The rows of one vocabulary: every block with every setting that the table has for it.
void check_vocabulary(const std::string& name) {
  const auto vocabulary = vocabulary_of(name);
  if (!vocabulary) GTEST_SKIP() << "no vocabulary " << name << " in ../shared/data";
  const std::vector<GoldenRow> rows = golden_rows();
  std::map<std::string, Tokenizer> tokenizers;  // by setting
  for (const GoldenRow& row : rows)
    if (row.vocabulary == name && !tokenizers.contains(row.setting))
      tokenizers.emplace(row.setting,
                         Tokenizer::from_vocabulary(*vocabulary, {.normalizer = normalizer_of_setting(row.setting)}));
  for (const HostileBlock& block : hostile_blocks()) {
    const auto wanted = [&](const GoldenRow& row) { return row.block == block.name && row.vocabulary == name; };
    if (std::none_of(rows.begin(), rows.end(), wanted)) {  // the long lines are kept for few vocabularies
      EXPECT_TRUE(!name.starts_with("samples") && block.name == std::string("ten_megabytes")) << block.name;
      continue;
    }
    const std::string text = hostile_text(block);
    for (const GoldenRow& row : rows) {
      if (!wanted(row)) continue;
      int64_t lines = 0;
      const GoldenHash hash = hash_of(tokenizers.at(row.setting), text, lines);
      EXPECT_EQ(lines, row.lines) << block.name;
      EXPECT_TRUE(hash == row.hash) << "the peer answers otherwise in block " << block.name << ", setting "
                                    << row.setting << "; scripts/compare_tokenizer.sh --hostile finds the lines";
    }
  }
}

TEST(SlowHostile, EveryCharacterAPiece) {
  check_vocabulary("every");
}
TEST(SlowHostile, SampleEnglish) {
  check_vocabulary("samples/vocab_en.txt");
}
TEST(SlowHostile, SampleChinese) {
  check_vocabulary("samples/vocab_zh.txt");
}
TEST(SlowHostile, RealUncased) {
  check_vocabulary("bert-base-uncased");
}
TEST(SlowHostile, RealCased) {
  check_vocabulary("bert-base-cased");
}
TEST(SlowHostile, RealChinese) {
  check_vocabulary("bert-base-chinese");
}

}  // namespace
}  // namespace cloze
