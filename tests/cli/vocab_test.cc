// `cloze vocab` as a user runs it.
#include "cloze/io/safetensors.h"
#include "hostile.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kText = "low low low lower\n\u7535\u5F71 \u7535\u5F71\n";

TEST(VocabTrain, AFolderThatLoadsAndTokenizes) {
  const HostilePlace place;
  place.write("a.txt", kText);
  const Outcome outcome = place.run("$CLOZE vocab train --corpus ${D}a.txt --output ${D}v --size 100");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(place / "v" / "vocab.txt"),
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nl\n\u5F71\n\u7535\n##o\n##w\nlo\nlow\n");
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["size"], 12);
  EXPECT_EQ(json["characters"], 5);
  EXPECT_EQ(json["words"], 8);
  EXPECT_EQ(json["distinct_words"], 4);
  EXPECT_EQ(json["word_coverage"], 0.875);
  EXPECT_THAT(outcome.err, HasSubstr("12 entries instead of 100"));
  const Outcome tokens = place.run("$CLOZE tokenize --model ${D}v --text 'Low \u7535'");
  EXPECT_EQ(Json::parse(tokens.out)["ids"], Json({2, 11, 7, 3}));
}

TEST(VocabTrain, ASingleFileFromStdinCased) {
  const HostilePlace place;
  const Outcome outcome =
      place.run("$CLOZE vocab train --corpus - --output ${D}v.txt --cased --min-frequency 1", "Ab ab\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(place / "v.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nA\na\n##b\nAb\nab\n");
  EXPECT_EQ(place.files(),
            (std::vector<std::string>{"m", "m/config.json", "m/model.safetensors", "m/vocab.txt", "v.txt"}));
}

TEST(VocabTrain, TheNumberOfThreadsChangesNothing) {
  const HostilePlace place;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += fmt::format("w{}{}", i * i % 977, i % 7 == 0 ? "\n" : " ");
  place.write("a.txt", text);
  for (const char* threads : {"1", "2", "3"})
    EXPECT_EQ(place
                  .run(std::string("$CLOZE vocab train --corpus ${D}a.txt --size 200 --threads ") + threads +
                       " --output ${D}v" + threads + ".txt")
                  .exit_code,
              0);
  EXPECT_EQ(read_file(place / "v1.txt"), read_file(place / "v2.txt"));
  EXPECT_EQ(read_file(place / "v1.txt"), read_file(place / "v3.txt"));
}

TEST(VocabReport, CountsByScript) {
  const HostilePlace place;
  const Outcome outcome = place.run("$CLOZE vocab report --vocab $M/vocab.txt --input -", "good \u7535 GOOD zzz\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["other"]["words"], 3);
  EXPECT_EQ(json["other"]["unknown_words"], 1);
  EXPECT_EQ(json["chinese"]["unknown_word_rate"], 1.0);
  EXPECT_EQ(json["top_unknown"][0]["word"], "zzz");
  EXPECT_EQ(json["entries"], 5);
  EXPECT_EQ(json["never_used_share"], 0.8);
  EXPECT_THAT(outcome.err, HasSubstr("4 of 5 entries are never used here"));
}

/// The classifier with the pieces good (5) and ##s (9).
TinyModel model_with_s() {
  TinyModel model = TinyModel::get();
  model.vocab.replace(model.vocab.find("\nz\n"), 3, "\n##s\n");
  return model;
}

TEST(VocabExtend, ANewRowIsTheMeanOfItsPieces) {
  const HostilePlace place(model_with_s());
  place.write("m/README.md", "mine");
  const Outcome outcome =
      place.run("$CLOZE vocab extend --model $M --words - --output ${D}n", "Goods\ngood\n\u7535\ngoods\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["added"], 2);
  EXPECT_EQ(json["known"], 1);
  EXPECT_EQ(json["repeated"], 1);
  EXPECT_EQ(json["unknown"], 1);
  EXPECT_EQ(json["rows"], 12);
  EXPECT_EQ(read_file(place / "n" / "vocab.txt"), model_with_s().vocab + "goods\n\u7535\n");
  EXPECT_EQ(read_file(place / "n" / "README.md"), "mine");
  EXPECT_EQ(Json::parse(read_file(place / "n" / "config.json"))["vocab_size"], 12);

  const SafetensorsFile before(place / "m" / "model.safetensors"), after(place / "n" / "model.safetensors");
  ASSERT_EQ(before.tensors().size(), after.tensors().size());
  for (const StoredTensor& stored : before.tensors()) {
    const Tensor old = before.tensor(stored), now = after.tensor(stored.name);
    EXPECT_EQ(std::memcmp(old.raw(), now.raw(), static_cast<size_t>(old.bytes())), 0) << stored.name;
    if (stored.name != "bert.embeddings.word_embeddings.weight") {
      EXPECT_EQ(old.shape(), now.shape()) << stored.name;
      continue;
    }
    ASSERT_EQ(now.shape(), Shape({12, 8}));
    const float *from = static_cast<const float*>(old.raw()), *to = static_cast<const float*>(now.raw());
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(to[80 + i], static_cast<float>((double{from[40 + i]} + double{from[72 + i]}) / 2));
      EXPECT_EQ(to[88 + i], from[8 + i]);  // [UNK]
    }
  }
  EXPECT_EQ(place.run("$CLOZE predict --threads 1 --model ${D}n", "goods \u7535\n").exit_code, 0);
}

TEST(VocabExtend, TheMostFrequentSplitWordsOfACorpus) {
  const HostilePlace place(model_with_s());
  const Outcome outcome = place.run("$CLOZE vocab extend --model $M --corpus - --count 1 --output ${D}n",
                                    "good good good goods goods bads\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(place / "n" / "vocab.txt"), model_with_s().vocab + "goods\n");
}

struct Refusal {
  const char* name;
  std::string command, input;
  int exit_code;
  std::vector<std::string> words;
};
void PrintTo(const Refusal& one, std::ostream* out) {
  *out << one.name;
}

class VocabRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(VocabRefusal, InWordsAndLeavesNothingBehind) {
  const HostilePlace place;
  const auto before = place.files();
  const Outcome outcome = place.run(GetParam().command, GetParam().input);
  expect_outcome(place, outcome, GetParam().exit_code, GetParam().words);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(place.files(), before);
}

const std::string kTrainVocab = "$CLOZE vocab train --output ${D}v.txt --corpus ";
const std::string kExtendVocab = "$CLOZE vocab extend --output ${D}n --model ";

INSTANTIATE_TEST_SUITE_P(
    Vocab, VocabRefusal,
    testing::Values(
        Refusal{"EmptyCorpus", kTrainVocab + "-", " \n", 1, {"the corpus is empty: 2 bytes of text without a word"}},
        Refusal{"NoText", kTrainVocab + "$M/model.safetensors", "", 1, {"model.safetensors is not text", "NUL"}},
        Refusal{"MissingFile", kTrainVocab + "${D}a.txt", "", 1, {"cannot open %a.txt"}},
        Refusal{"SmallSize", kTrainVocab + "- --size 6", "a b c", 1, {"give a size of at least 8"}},
        Refusal{"OverAModel", "$CLOZE vocab train --corpus - --output $M", "a", 2, {"holds a model (config.json)"}},
        Refusal{"UnknownSubCommand", "$CLOZE vocab trian", "", 2, {"did you mean train?", "train, report, extend"}},
        Refusal{"UnknownOption", "$CLOZE vocab train --sise 3", "", 2, {"--size", "cloze vocab train --help"}},
        Refusal{"NoVocabulary", "$CLOZE vocab report --vocab ${D}v --input -", "a", 1, {"neither tokenizer.json nor"}},
        Refusal{
            "EmptyList", kExtendVocab + "$M --words -", "\n", 1, {"standard input is empty: expected a word a line"}},
        Refusal{"AllKnown", kExtendVocab + "$M --words -", "good\n", 1, {"nothing to add: 1 words"}},
        Refusal{"Spaces", kExtendVocab + "$M --words -", "a\nb c\n", 1, {"standard input line 2: expected one word"}},
        Refusal{"ModelWithout",
                "mv $M/vocab.txt ${D}w; trap \"mv ${D}w $M/vocab.txt\" EXIT; " + kExtendVocab + "$M --words -",
                "a\n",
                1,
                {"has no vocabulary: expected vocab.txt or tokenizer.json"}},
        Refusal{"OutputExists", "$CLOZE vocab extend --words - --model $M --output $M", "a\n", 2, {"is there already"}},
        Refusal{"WordsAndCorpus", kExtendVocab + "$M --words - --corpus -", "a\n", 2, {"give either --words"}},
        Refusal{"NoCount", kExtendVocab + "$M --corpus -", "a\n", 2, {"--count"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cloze::test
