// Model directories that are damaged, lie, or are not BERT's: through the program, one test a case.
#include "hostile.h"

namespace cloze::test {
namespace {

constexpr const char* kPooler = "bert.pooler.dense.weight";  // [8, 8]

/// Damage to the files' bytes, or to the folder once they are written.
struct ModelCase {
  const char* name;
  std::function<void(TinyModel&)> edit;
  std::vector<std::string> words;
  int exit_code = 1;
  std::function<void(const Path& dir)> spoil = {};
};

void PrintTo(const ModelCase& one, std::ostream* out) {
  *out << one.name;
}

class HostileModel : public testing::TestWithParam<ModelCase> {};

TEST_P(HostileModel, IsRefusedInWords) {
  TinyModel model = TinyModel::get();
  if (GetParam().edit) GetParam().edit(model);
  const HostilePlace place(model);
  if (GetParam().spoil) GetParam().spoil(place / "m");
  const auto before = place.files();
  // 1 GB of address space: sizes are refused from what the files hold, not from a failed allocation.
  const std::string limit = kSanitized ? "" : "ulimit -v 1000000; ";
  const Outcome outcome = place.run(limit + "$CLOZE predict --threads 1 --model $M", "good\n");
  expect_outcome(place, outcome, GetParam().exit_code, GetParam().words);
  expect_one_line(outcome);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(place.files(), before);
}

std::function<void(TinyModel&)> header(std::function<void(Json&)> edit) {
  return [edit](TinyModel& model) { model.edit_header(edit); };
}
std::function<void(TinyModel&)> config(const char* key, Json value) {
  return [key, value](TinyModel& model) { model.edit_config([&](Json& json) { json[key] = value; }); };
}
std::function<void(TinyModel&)> config_text(std::string text) {
  return [text](TinyModel& model) { model.config = text; };
}
std::function<void(TinyModel&)> last_weight(float value) {
  return [value](TinyModel& model) { std::memcpy(model.weights.data() + model.weights.size() - 4, &value, 4); };
}
std::function<void(const Path&)> removed(const char* name) {
  return [name](const Path& dir) { std::filesystem::remove_all(dir / name); };
}
std::function<void(const Path&)> folder_instead(const char* name) {
  return [name](const Path& dir) {
    std::filesystem::remove_all(dir / name);
    make_folder(dir / name);
  };
}

const ModelCase kWeightCases[] = {
    {"Missing",
     {},
     {"no weights in %m: looked for model.safetensors", "holds config.json, vocab.txt"},
     1,
     removed("model.safetensors")},
    {"PytorchOnly",
     {},
     {"it has pytorch_model.bin", "convert it to safetensors"},
     1,
     [](const Path& dir) { std::filesystem::rename(dir / "model.safetensors", dir / "pytorch_model.bin"); }},
    {"AFolder",
     {},
     {"cannot read %m/model.safetensors: expected a file, found a folder"},
     1,
     folder_instead("model.safetensors")},
    {"Empty", [](TinyModel& m) { m.weights = ""; }, {"model.safetensors: 0 bytes are too few", "truncated"}},
    {"SevenBytes", [](TinyModel& m) { m.weights.resize(7); }, {"model.safetensors: 7 bytes are too few"}},
    {"CutInTheHeader", [](TinyModel& m) { m.weights.resize(200); }, {"but only 192 bytes follow: truncated"}},
    {"CutInTheData", [](TinyModel& m) { m.weights.resize(m.weights.size() - 100); }, {"bytes of data: truncated?"}},
    {"BytesAfterTheData", [](TinyModel& m) { m.weights += "more"; }, {"the last 4 bytes", "belong to no tensor"}},
    {"GitLfsPointer",
     [](TinyModel& m) { m.weights = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"; },
     {"this is a Git LFS pointer", "git lfs pull"}},
    {"WebPage", [](TinyModel& m) { m.weights = "<!DOCTYPE html><html></html>"; }, {"this looks like a web page"}},
    {"ZipFile", [](TinyModel& m) { m.weights = "PK\x03\x04" + std::string(5000, 'x'); }, {"a PyTorch zip file"}},
    {"LengthHuge",
     [](TinyModel& m) { m.weights = TinyModel::file_of(m.header(), m.data(), INT64_MAX); },
     {"a header of 9223372036854775807 bytes is announced, at most 100000000 are allowed"}},
    {"LengthPastTheEnd",
     [](TinyModel& m) { m.weights = TinyModel::file_of(m.header(), m.data(), 99000000); },
     {"a header of 99000000 bytes is announced, but only"}},
    {"LengthTooShort",
     [](TinyModel& m) { m.weights = TinyModel::file_of(m.header(), m.data(), 50); },
     {"model.safetensors: not valid JSON: parse error at line 1, column 51"}},
    {"LengthZero",
     [](TinyModel& m) { m.weights = TinyModel::file_of(m.header(), m.data(), 0); },
     {"the header must start with '{'"}},
    {"Overlap",
     header([](Json& h) {
       h[kPooler]["data_offsets"] = {0, 256};
     }),
     {"overlap: bytes 0 to 256"}},
    {"OutsideOfTheFile",
     header([](Json& h) {
       h[kPooler]["data_offsets"] = {1000000, 1000256};
     }),
     {"bert.pooler.dense.weight", "lies at bytes 1000000 to 1000256, but the file has only"}},
    {"EndBeforeBegin",
     header([](Json& h) {
       h[kPooler]["data_offsets"] = {256, 0};
     }),
     {"before it begins at 256"}},
    {"ShapeNegative",
     header([](Json& h) {
       h[kPooler]["shape"] = {-8, -8};
     }),
     {"\"shape\" of tensor \"bert.pooler.dense.weight\" must hold integers from 0", "found a negative number"}},
    {"ShapeOverflows",
     header([](Json& h) {
       h[kPooler]["shape"] = {1LL << 40, 1LL << 40};
     }),
     {"has an impossible shape: its size overflows"}},
    {"ShapeNotThatOfTheData",
     header([](Json& h) {
       h[kPooler]["shape"] = {8, 9};
     }),
     {"needs 288 bytes by its shape, but its range holds 256"}},
    {"ShapeOfAnotherModel",
     header([](Json& h) {
       h[kPooler]["shape"] = {4, 16};
     }),
     {"has shape [4, 16], expected [8, 8]"}},
    {"ManyDimensions",
     header([](Json& h) { h[kPooler]["shape"] = {8, 8, 1, 1, 1, 1, 1, 1, 1}; }),
     {"has shape [8, 8, 1, 1, 1, 1, 1, 1, 1], expected [8, 8]"}},
    {"DtypeInteger",
     header([](Json& h) { h[kPooler]["dtype"] = "I32"; }),
     {"has dtype I32, expected floats (F32 F64 F16 BF16)"}},
    {"DtypeUnknown", header([](Json& h) { h[kPooler]["dtype"] = "F99"; }), {"has the unknown dtype \"F99\""}},
    {"DtypeNotForModels",
     header([](Json& h) {
       h[kPooler]["dtype"] = "F8_E4M3";
       h[kPooler]["data_offsets"][1] = h[kPooler]["data_offsets"][0].get<int>() + 64;
     }),
     {"a hole"}},
    {"UnknownMemberOfATensor",
     header([](Json& h) { h[kPooler]["scale"] = 2; }),
     {"member \"scale\" is not known; a tensor has dtype, shape and data_offsets"}},
    {"HeaderNested",
     header([](Json& h) { h["x"] = Json::parse(std::string(500, '[') + std::string(500, ']')); }),
     {"\"x\" must be an object", "found an array"}},
    {"TensorMissing",
     header([](Json& h) {
       h["other"] = h[kPooler];
       h.erase(kPooler);
     }),
     {"no tensor \"bert.pooler.dense.weight\" (expected shape [8, 8]) among its 25"}},
    {"NoClassifier",
     header([](Json& h) {
       h["head.weight"] = h["classifier.weight"];
       h.erase("classifier.weight");
     }),
     {"has no classifier", "Train one with: cloze finetune"}},
    {"Nan",
     last_weight(std::nanf("")),
     {"tensor \"classifier.bias\"", "1 NaN and 0 infinite values, the first at [1]"}},
    {"Infinite", last_weight(-HUGE_VALF), {"0 NaN and 1 infinite values, the first at [1]"}},
    {"TwoSpellings", header([](Json& h) { h["module." + std::string(kPooler)] = h[kPooler]; }), {"overlap"}},
};

const ModelCase kConfigCases[] = {
    {"Missing", {}, {"no config.json in %m, which holds model.safetensors, vocab.txt"}, 1, removed("config.json")},
    {"AFolder", {}, {"cannot read %m/config.json: expected a file, found a folder"}, 1, folder_instead("config.json")},
    {"Empty", config_text(""), {"config.json: not valid JSON: parse error at line 1, column 1"}},
    {"Cut", config_text("{\"hidden_size\": 8,"), {"config.json: not valid JSON: parse error at line 1, column 19"}},
    {"AnArray", config_text("[1]"), {"expected a JSON object, found array"}},
    {"DeepArray", config_text(std::string(1000000, '[')), {"config.json: JSON nested deeper than 64 levels"}},
    {"NulByte", config_text(std::string("{}\0", 3)), {"not valid JSON: a NUL byte at 2"}},
    {"NotUtf8", config_text("{\"a\": \"\xff\"}"), {"not valid JSON", "ill-formed UTF-8 byte"}},
    {"HugeNumber", config_text("{\"hidden_size\": 1e999}"), {"not valid JSON: number overflow parsing '1e999'"}},
    {"TooLarge", config_text("{\"a\": \"" + std::string(17 << 20, 'x') + "\"}"), {"is larger than the 16777216 bytes"}},
    {"Roberta", config("model_type", "roberta"), {"\"model_type\" is \"roberta\"; Cloze reads BERT checkpoints"}},
    {"Gpt2", config("model_type", "gpt2"), {"\"model_type\" is \"gpt2\"; Cloze reads BERT checkpoints"}},
    {"Decoder", config("is_decoder", true), {"\"is_decoder\" is true; only encoders"}},
    {"RelativePositions", config("position_embedding_type", "relative_key"), {"only \"absolute\" is known"}},
    {"Activation", config("hidden_act", "swish"), {"\"hidden_act\" is \"swish\"; known are gelu"}},
    {"LayersBillions",
     config("num_hidden_layers", INT32_MAX),
     {"2147483647 layers of width 8 need at least", "but the weight files have"}},
    {"LayersTooMany", config("num_hidden_layers", 1LL << 31), {"must be 1 to 2147483647, found 2147483648"}},
    {"LayersOneMore",
     config("num_hidden_layers", 2),
     {"no tensor \"bert.encoder.layer.1.attention.self.query.weight\""}},
    {"LayersNone", config("num_hidden_layers", 0), {"\"num_hidden_layers\" must be 1 to 2147483647, found 0"}},
    {"HiddenTrillion", config("hidden_size", 1LL << 40), {"\"hidden_size\" must be 1 to 1048576, found 1099511627776"}},
    {"HiddenMillion", config("hidden_size", 1 << 20), {"need at least", "but the weight files have"}},
    {"FeedForwardHuge", config("intermediate_size", 1 << 22), {"need at least", "but the weight files have"}},
    {"VocabularyBillions",
     config("vocab_size", 1LL << 31),
     {"\"vocab_size\" must be 1 to 268435456, found 2147483648"}},
    {"VocabularyMillions", config("vocab_size", 1 << 28), {"has shape [10, 8], expected [268435456, 8]"}},
    {"VocabularyNegative", config("vocab_size", -1), {"\"vocab_size\" must be 1 to 268435456, found -1"}},
    {"PositionsHuge", config("max_position_embeddings", 1LL << 40), {"\"max_position_embeddings\" must be 1 to 65536"}},
    {"HeadsDoNotDivide", config("num_attention_heads", 3), {"\"hidden_size\" 8 does not divide into"}},
    {"NumberAsString", config("hidden_size", "8"), {"\"hidden_size\" must be an integer, found string \"8\""}},
    {"FractionAsSize", config("hidden_size", 8.5), {"\"hidden_size\" must be an integer, found number 8.5"}},
    {"DropoutOne", config("hidden_dropout_prob", 1.0), {"\"hidden_dropout_prob\" must be in [0, 1), found 1"}},
    {"LabelsAsList", config("id2label", Json::array({"a", "b"})), {"\"id2label\" must be an object, found array"}},
    {"LabelsMore",
     config("id2label", Json{{"0", "a"}, {"1", "b"}, {"2", "c"}}),
     {"\"id2label\" names 3 labels, but classifier.weight is [2, 8]"}},
    {"LabelsWithAHole", config("id2label", Json{{"0", "a"}, {"5", "b"}}), {"must have the keys 0 to 1, found \"5\""}},
    {"LabelsEqual",
     config("id2label", Json{{"0", "a"}, {"1", "a"}}),
     {"gives 0 and 1 the same name \"a\"; rename one"}},
    {"ClozeNoObject", config("cloze", Json::array({1})), {"\"cloze\" must be an object, found array"}},
    {"TaskNoString", config("cloze", Json{{"task", 5}}), {"\"task\" must be a string, found number 5"}},
    {"TaskOfTheFuture",
     config("cloze", Json{{"task", "mind-reading"}}),
     {"config.json: \"cloze\" names the task \"mind-reading\", which this version does not know", "--task"}},
    {"NoTask",
     [](TinyModel& m) {
       m.edit_config([](Json& json) {
         json.erase("cloze");
         json["architectures"] = {"BertModel"};
       });
     },
     {"does not say which task the model was trained for (architecture \"BertModel\"); name it with --task"},
     2},
    {"MaxLengthNegative",
     config("cloze", Json{{"task", "text-classification"}, {"max_length", -5}}),
     {"%m/config.json: \"cloze\": \"max_length\" must be 3 to 32, found -5"}},
};

std::function<void(TinyModel&)> vocab(std::string text) {
  return [text](TinyModel& model) { model.vocab = text; };
}
std::function<void(const Path&)> extra(const char* name, std::string text) {
  return [name, text](const Path& dir) { write_file(dir / name, text); };
}

const ModelCase kTokenizerCases[] = {
    {"VocabMissing", {}, {"%m has neither tokenizer.json nor vocab.txt"}, 1, removed("vocab.txt")},
    {"VocabAFolder", {}, {"cannot read %m/vocab.txt: expected a file, found a folder"}, 1, folder_instead("vocab.txt")},
    {"VocabEmpty", vocab(""), {"vocab.txt is empty: expected one piece a line"}},
    {"VocabLonger",
     [](TinyModel& m) { m.vocab += "one\nmore\n"; },
     {"the tokenizer has 12 tokens, but the model's \"vocab_size\" is 10: they do not belong together"}},
    {"VocabWithoutSpecialTokens",
     vocab("a\nb\nc\n"),
     {"vocab.txt has no unknown-word token \"[UNK]\" among its 3 pieces; add it, or name the token"}},
    {"VocabWithoutStart", vocab("[PAD]\n[UNK]\n[SEP]\n"), {"has no start token \"[CLS]\""}},
    {"VocabNotUtf8",
     [](TinyModel& m) { m.vocab[m.vocab.size() - 2] = '\xff'; },
     {"vocab.txt: piece 9 (line 10) is not valid UTF-8"}},
    {"VocabWithByteOrderMark",
     [](TinyModel& m) { m.vocab = "\xEF\xBB\xBF" + m.vocab; },
     {"vocab.txt begins with a byte order mark", "save it without one"}},
    {"TokenizerJsonCut",
     {},
     {"tokenizer.json is not valid JSON at byte 10"},
     1,
     extra("tokenizer.json", "{\"model\":")},
    {"TokenizerJsonDeep",
     {},
     {"tokenizer.json is nested deeper than 64 levels"},
     1,
     extra("tokenizer.json", std::string(1000000, '['))},
    {"TokenizerJsonBpe",
     {},
     {"model is \"BPE\", but Cloze reads only WordPiece"},
     1,
     extra("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {}}})")},
    {"TokenizerJsonHugeId",
     {},
     {"gives \"a\" the id 2000000000, expected 0 to about 1"},
     1,
     extra("tokenizer.json", R"({"model": {"type": "WordPiece", "vocab": {"a": 2000000000}}})")},
    {"TokenizerConfigType",
     {},
     {"\"do_lower_case\" must be true or false, found string \"yes\""},
     1,
     extra("tokenizer_config.json", R"({"do_lower_case": "yes"})")},
    {"TokenizerConfigNotJson", {}, {"tokenizer_config.json: not valid JSON"}, 1, extra("tokenizer_config.json", "{")},
    {"TokenizerConfigNoFile",
     {},
     {"tokenizer_config.json: expected a file, found a folder"},
     1,
     [](const Path& dir) { make_folder(dir / "tokenizer_config.json"); }},
};

std::string name_of_model(const testing::TestParamInfo<ModelCase>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Weights, HostileModel, testing::ValuesIn(kWeightCases), name_of_model);
INSTANTIATE_TEST_SUITE_P(Config, HostileModel, testing::ValuesIn(kConfigCases), name_of_model);
INSTANTIATE_TEST_SUITE_P(Tokenizer, HostileModel, testing::ValuesIn(kTokenizerCases), name_of_model);

}  // namespace
}  // namespace cloze::test
