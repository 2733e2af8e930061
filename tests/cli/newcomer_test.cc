// What somebody who mistypes a word is told: the nearest right one.
#include "hostile.h"

namespace cloze::test {
namespace {

struct Slip {
  const char* name;
  std::string command;
  std::vector<std::string> words;
  int exit_code = 2;
};

void PrintTo(const Slip& slip, std::ostream* out) {
  *out << slip.name;
}

class Newcomer : public testing::TestWithParam<Slip> {};

TEST_P(Newcomer, IsToldTheNearestWord) {
  const HostilePlace place;
  place.write("reviews.tsv", "label\tsentence\na\tx y\nb\tz\n");
  place.write("hub/bert/config.json", TinyModel::get().config);
  const Outcome outcome = place.run(GetParam().command);
  expect_outcome(place, outcome, GetParam().exit_code, GetParam().words);
  EXPECT_EQ(outcome.out, "");
  EXPECT_FALSE(std::filesystem::exists(place / "out"));
}

const std::string kTrainReviews = "$CLOZE finetune $SCRATCH --train ${D}reviews.tsv --output ${D}out ";
const std::string kScratch =
    "$CLOZE finetune --task text-classification --from-scratch --train ${D}reviews.tsv --output ${D}out ";

const Slip kSlips[] = {
    {"Command",
     "$CLOZE pedict",
     {"unknown command \"pedict\", did you mean predict?", "There are: pretrain, finetune"}},
    {"Option", "$CLOZE predict --imput x", {"unknown option --imput, did you mean --input?", "cloze predict --help"}},
    {"OptionSwapped", "$CLOZE predict --tsak x", {"did you mean --task?"}},
    {"Task",
     "$CLOZE finetune --task text-clasification --from-scratch --vocab $M --train t --output ${D}out",
     {"unknown task \"text-clasification\", did you mean text-classification?"}},
    {"Size", kScratch + "--vocab $M --size bsae", {"unknown size \"bsae\", did you mean base?; known are tiny, mini"}},
    {"Schedule", kTrainReviews + "--schedule linaer", {"unknown schedule \"linaer\", did you mean linear?"}},
    {"Metric",
     kTrainReviews + "--dev ${D}reviews.tsv --save-best f1-macro",
     {"no metric \"f1-macro\", did you mean f1_macro?"}},
    {"Layout", kTrainReviews + "--format banking7", {"unknown table layout \"banking7\", did you mean banking77?"}},
    {"Form",
     kTrainReviews + "--format jsnl",
     {"unknown table layout \"jsnl\", did you mean jsonl?; there are lines, tsv"}},
    {"InvalidUtf8", kTrainReviews + "--invalid-utf8 refsue", {"must be refuse or replace", "did you mean refuse?"}},
    {"Precision",
     "$CLOZE bench --model $M --precision fp23",
     {"--precision must be fp32 or int8", "did you mean fp32?"}},
    {"PrecisionOfTraining", kTrainReviews + "--precision bf61", {"must be fp32 or bf16", "did you mean bf16?"}},
    {"TrainingInInt8",
     kTrainReviews + "--precision int8",
     {"int8 is for trained models", "training takes fp32 or bf16"}},
    {"PrecisionOfInference",
     "$CLOZE predict --model $M --precision bf16",
     {"bf16 is for training", "a trained model takes fp32 or int8"}},
    {"BenchTrainInInt8", "$CLOZE bench --model $M --mode train --precision int8", {"training takes fp32 or bf16"}},
    {"BenchInferInBf16", "$CLOZE bench --model $M --precision bf16", {"bf16 is for training"}},
    {"Mode", "$CLOZE bench --model $M --mode tokenise", {"unknown --mode \"tokenise\", did you mean tokenize?"}},
    {"NotANumber", kScratch + "--vocab $M --layers two", {"--layers", "two"}},
    {"Column", kTrainReviews + "--label lable", {"there is no column \"lable\" (--label), did you mean \"label\"?"}},
    {"ColumnOfText",
     kTrainReviews + "--text sentense",
     {"there is no column \"sentense\"", "did you mean \"sentence\"?"}},

    {"TrainFile",
     "$CLOZE finetune $SCRATCH --train ${D}reviews.tvs --output ${D}out",
     {"cannot open %reviews.tvs: No such file or directory, did you mean", "/reviews.tsv?"},
     1},
    {"DevFile", kTrainReviews + "--dev ${D}review.tsv", {"cannot open %review.tsv", "/reviews.tsv?"}, 1},
    {"DataFile", "$CLOZE evaluate --model $M --data ${D}Reviews.tsv", {"did you mean", "/reviews.tsv?"}, 1},
    {"InputFile", "$CLOZE predict --model $M --input ${D}reviws.tsv", {"did you mean", "/reviews.tsv?"}, 1},
    {"TokenizeFile", "$CLOZE tokenize --model $M --input ${D}reviews.ts", {"did you mean", "/reviews.tsv?"}, 1},
    {"FileHere", "cd ${D}; $CLOZE predict --model m --input reviews.tvs", {"did you mean reviews.tsv?"}, 1},
    {"FolderOfAFile",
     "$CLOZE predict --model $M --input ${D}hob/rows.txt",
     {": the folder %hob is not there, did you mean", "/hub?"},
     1},
    {"FileFarFromAny", "$CLOZE predict --model $M --input ${D}else.csv", {"%else.csv: No such file or directory\n"}, 1},
    {"VocabFile", kScratch + "--vocab $M/vocab.tx", {"cannot open %m/vocab.tx", "did you mean", "/m/vocab.txt?"}, 1},

    {"ModelFolder", "$CLOZE predict --model ${D}hub/bret", {"there is no %hub/bret, did you mean", "/hub/bert?"}, 1},
    {"ModelFile",
     "$CLOZE predict --model $M/model.safetensors",
     {"model.safetensors is a file; expected a model directory", "give the folder that it lies in: "}},
    {"ModelHubName",
     "$CLOZE predict --model bert-base-uncased",
     {"there is no bert-base-uncased; expected a model directory", "Cloze does not download models"},
     1},
    {"ModelHubNameWithOwner",
     "$CLOZE info google-bert/bert-base-cased",
     {"there is no google-bert/bert-base-cased", "Cloze does not download models"},
     1},
    {"ModelHubNameToTrain",
     "$CLOZE finetune --task text-classification --model bert-base-uncased --train ${D}reviews.tsv --output ${D}out",
     {"there is no bert-base-uncased", "Cloze does not download models"},
     1},
    {"ModelHubNameToTokenize",
     "$CLOZE tokenize --model bert-base-chinese",
     {"bert-base-chinese", "Cloze does not download models"},
     1},
    {"ModelOneFolderUp",
     "$CLOZE predict --model ${D}hub",
     {"no config.json in %hub, which holds bert", "/hub/bert?"},
     1},
    {"ModelEmptyName", "$CLOZE predict --model ''", {"the model directory's name is empty"}},

    {"LayersBillions",
     kScratch + "--vocab $M --hidden 8 --heads 2 --layers 2000000000",
     {"2000000000 layers of width 8 need", "GB", "this machine has", "--layers or --hidden"}},
    {"HiddenMillion", kScratch + "--vocab $M --hidden 1000000 --heads 2", {"layers of width 1000000 need"}},
    {"BatchOfBench", "$CLOZE bench --model $M --batch 1000000000000", {"--batch must be 1 to 1048576"}},
    {"LengthOfBench", "$CLOZE bench --model $M --length 1000000000", {"the model takes 1 to 32"}, 1},
    {"Threads", "$CLOZE predict --model $M --threads 99999", {"--threads must be 0 (all) to 1024, got 99999"}},
};

std::string name_of_slip(const testing::TestParamInfo<Slip>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Slips, Newcomer, testing::ValuesIn(kSlips), name_of_slip);

/// What is unknown is kept, counted or said, never dropped in silence.
TEST(Unknown, ConfigKeysStayAndTensorsAreReported) {
  TinyModel model = TinyModel::get();
  model.edit_config([](Json& json) {
    json["transformers_version"] = "4.30.2";
    json["my_notes"] = {{"deep", {1, "two", nullptr}}};
    json["hidden_act"] = "gelu_new";
  });
  model.edit_header([](Json& header) {
    header["bert.extra.adapter"] = {{"dtype", "F32"}, {"shape", {0, 8}}, {"data_offsets", {0, 0}}};
  });
  const HostilePlace place(model);
  place.write("a.tsv", "label\ttext\nneg\tx\npos\ty\n");
  const Outcome outcome =
      place.run("$CLOZE finetune --task text-classification --model $M --train ${D}a.tsv --epochs 1 --output ${D}out");
  expect_outcome(place, outcome, 0, {"1 in the file but not used: bert.extra.adapter"});
  const Json config = parse_json(read_file(place / "out" / "config.json"), "config.json");
  EXPECT_EQ(config["transformers_version"], "4.30.2");
  EXPECT_EQ(config["my_notes"], (Json{{"deep", {1, "two", nullptr}}}));
  EXPECT_EQ(config["hidden_act"], "gelu_new");
}

TEST(Unknown, VocabulariesThatAreShorterOrRepeatThemselvesAreTaken) {
  TinyModel shorter = TinyModel::get();
  shorter.vocab.resize(shorter.vocab.find("y\n"));
  EXPECT_THAT(HostilePlace(shorter).run("$CLOZE tokenize --model $M --text 'x z'").out,
              testing::HasSubstr("[2, 7, 1, 3]"));
  TinyModel twice = TinyModel::get();
  twice.vocab.replace(twice.vocab.find("y\n"), 1, "x");
  const HostilePlace place(twice);
  EXPECT_THAT(place.run("$CLOZE tokenize --model $M --text 'x'").out, testing::HasSubstr("[2, 8, 3]"))
      << "of equal pieces the last, as with Hugging Face";
  EXPECT_EQ(place.run("$CLOZE predict --model $M", "x\n").exit_code, 0);
}

TEST(Unknown, AnIndexThatItsShardsDoNotBearOut) {
  const HostilePlace place;
  std::filesystem::rename(place / "m" / "model.safetensors", place / "m" / "a.safetensors");
  const auto with_index = [&](const std::string& index) {
    place.write("m/model.safetensors.index.json", index);
    return place.run("$CLOZE predict --model $M", "x\n");
  };
  expect_outcome(place, with_index(R"({"weight_map": {"a": "gone.safetensors"}})"), 1,
                 {"the file \"gone.safetensors\" that it names (for tensor \"a\") is not there"});
  expect_outcome(place, with_index(R"({"weight_map": {"a": "../../etc/passwd"}})"), 1, {"is not a plain file name"});
  expect_outcome(place, with_index(R"({"weight_map": {"a": "a.safetensors"}})"), 1, {"which does not hold it"});
  expect_outcome(place, with_index("{}"), 1, {"\"weight_map\" (tensor name to file name) is missing"});
}

}  // namespace
}  // namespace cloze::test
