// Against the peer, Hugging Face tokenizers: committed answers for a small vocabulary and nasty lines
// (golden/peer.jsonl), and hashes of its answers over real corpora (golden/corpora.tsv). Both come from
// tools/golden_tokenizer.js.
#include <gtest/gtest.h>

#include <sstream>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/text/tokenizer.h"
#include "tests/text/golden_hash.h"

namespace cloze {
namespace {

const Path kGolden = Path(CLOZE_SOURCE_DIR) / "tests/text/golden";

TruncationStrategy strategy_of(const std::string& name) {
  return name == "LongestFirst" ? TruncationStrategy::kLongestFirst
         : name == "OnlyFirst"  ? TruncationStrategy::kOnlyFirst
                                : TruncationStrategy::kOnlySecond;
}

NormalizerOptions normalizer_of_json(const Json& json) {
  NormalizerOptions options;
  options.clean_text = json["clean_text"];
  options.handle_chinese_chars = json["handle_chinese_chars"];
  options.lowercase = json["lowercase"];
  if (!json["strip_accents"].is_null()) options.strip_accents = json["strip_accents"].get<bool>();
  return options;
}

std::vector<AddedToken> added_of(const Json& list, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    tokens.push_back({.content = name, .id = *vocabulary.id(name)});
  for (const Json& token : list)
    tokens.push_back({.content = token["content"],
                      .id = token["id"],
                      .special = token["special"],
                      .normalized = token["normalized"],
                      .single_word = token["single_word"],
                      .lstrip = token["lstrip"],
                      .rstrip = token["rstrip"]});
  return tokens;
}

std::vector<int32_t> flat(const std::vector<TextSpan>& spans) {
  std::vector<int32_t> out;
  for (const TextSpan& span : spans) {
    out.push_back(span.begin);
    out.push_back(span.end);
  }
  return out;
}

EncodeOptions encode_options_of(const Json& row) {
  EncodeOptions options;
  if (row.contains("truncation")) {
    const Json& json = row["truncation"];
    options.truncation = {strategy_of(json["strategy"]), json["max_length"],
                          json["direction"] == "Left" ? TruncationSide::kLeft : TruncationSide::kRight};
  }
  return options;
}

void check_row(const Json& row, const Tokenizer& tokenizer) {
  const std::string text = row["text"];
  const EncodeOptions options = encode_options_of(row);
  const auto encode = [&] {
    return row.contains("pair") ? tokenizer.encode_pair(text, row["pair"].get<std::string>(), options)
                                : tokenizer.encode(text, options);
  };
  std::vector<int32_t> ids, segments;
  if (row.contains("refused")) {
    EXPECT_THROW(encode(), Error);
    return;
  }
  const Encoding encoding = encode();
  EXPECT_EQ(encoding.ids, row["ids"].get<std::vector<int32_t>>());
  EXPECT_EQ(flat(encoding.offsets), row["offsets"].get<std::vector<int32_t>>());
  // Cutting on the left, the peer counts words from a place of its own: it stops reading early.
  if (options.truncation.side == TruncationSide::kRight) {
    EXPECT_EQ(encoding.words, row["words"].get<std::vector<int32_t>>());
  }
  if (row.contains("pair")) {
    tokenizer.encode_pair_ids(text, row["pair"].get<std::string>(), ids, segments, options);
    EXPECT_EQ(segments, encoding.segments);
  } else {
    tokenizer.encode_ids(text, ids, options);
  }
  EXPECT_EQ(ids, encoding.ids);
}

TEST(Golden, EveryLineOfThePeerIsReproduced) {
  LineReader lines(kGolden / "peer.jsonl");
  const Json head = parse_json(*lines.next(), "peer.jsonl line 1");
  const Vocabulary vocabulary(head["pieces"].get<std::vector<std::string>>());
  std::vector<AddedToken> added = added_of(Json::array(), vocabulary);
  int rows = 0;
  while (const auto line = lines.next()) {
    const Json row = parse_json(*line, "peer.jsonl");
    if (row.contains("added")) {
      added = added_of(row["added"], vocabulary);
      continue;
    }
    TokenizerOptions options{.normalizer = normalizer_of_json(row["normalizer"])};
    if (row.contains("use_added")) options.added_tokens = added;
    SCOPED_TRACE(*line);
    check_row(row, Tokenizer::from_vocabulary(vocabulary, options));
    if (++rows && HasFailure()) return;
  }
  EXPECT_GT(rows, 600);
}

TEST(SlowGolden, HashesOverRealCorporaAreThePeers) {
  const Path data = Path(CLOZE_SOURCE_DIR) / "../shared/data";
  if (!std::filesystem::exists(data / "corpora")) GTEST_SKIP() << "no corpora in " << data;
  LineReader table(kGolden / "corpora.tsv");
  int rows = 0;
  while (const auto line = table.next()) {
    std::istringstream fields{std::string(*line)};
    std::string vocabulary, casing, corpus;
    int64_t limit = 0;
    uint32_t a = 0, b = 0;
    fields >> vocabulary >> casing >> corpus >> limit >> a >> b;
    const Tokenizer tokenizer =
        Tokenizer::from_vocabulary(Vocabulary::load(data / "vocab" / ("bert-base-" + vocabulary) / "vocab.txt"),
                                   {.normalizer = {.strip_accents = {}, .lowercase = casing == "uncased"}});
    LineReader text(data / "corpora" / (corpus + ".txt.gz"));
    GoldenHash hash;
    for (int64_t i = 0; i < limit; ++i) hash.add(tokenizer.encode(*text.next()));
    EXPECT_EQ(hash.a, a) << *line;
    EXPECT_EQ(hash.b, b) << *line;
    ++rows;
  }
  EXPECT_EQ(rows, 15);
}

}  // namespace
}  // namespace cloze
