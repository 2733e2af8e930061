#include "cloze/model/bert_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

BertConfig parse(const char* text) {
  return BertConfig::from_json(parse_json(text, "test"), "m/config.json");
}
std::string refusal(const char* text) {
  return error_of([&] { parse(text); });
}

TEST(BertConfigTest, ReadsEveryKey) {
  const BertConfig config = parse(R"({"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": 100,
      "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 77,
      "max_position_embeddings": 60, "type_vocab_size": 3, "pad_token_id": 1, "hidden_dropout_prob": 0.25,
      "attention_probs_dropout_prob": 0, "initializer_range": 0.5, "layer_norm_eps": 1e-5, "hidden_act": "relu",
      "id2label": {"1": "pos", "0": "neg"}, "cloze": {"task": "text-classification"}})");
  EXPECT_EQ(config.architecture, "BertForMaskedLM");
  EXPECT_EQ(config.vocab_size, 100);
  EXPECT_EQ(config.hidden_size, 48);
  EXPECT_EQ(config.num_hidden_layers, 3);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.intermediate_size, 77);
  EXPECT_EQ(config.max_position_embeddings, 60);
  EXPECT_EQ(config.type_vocab_size, 3);
  EXPECT_EQ(config.pad_token_id, 1);
  EXPECT_EQ(config.hidden_dropout_prob, 0.25);
  EXPECT_EQ(config.attention_probs_dropout_prob, 0);
  EXPECT_EQ(config.initializer_range, 0.5);
  EXPECT_EQ(config.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.hidden_act, Activation::kRelu);
  EXPECT_THAT(config.labels, ElementsAre("neg", "pos"));
  EXPECT_EQ(config.cloze.value("task", ""), "text-classification");
}

TEST(BertConfigTest, DefaultsAreBertBase) {
  const BertConfig config = parse("{}");
  EXPECT_EQ(config.vocab_size, 30522);
  EXPECT_EQ(config.hidden_size, 768);
  EXPECT_EQ(config.num_hidden_layers, 12);
  EXPECT_EQ(config.num_attention_heads, 12);
  EXPECT_EQ(config.intermediate_size, 3072);
  EXPECT_EQ(config.max_position_embeddings, 512);
  EXPECT_EQ(config.type_vocab_size, 2);
  EXPECT_EQ(config.hidden_dropout_prob, 0.1);
  EXPECT_EQ(config.attention_probs_dropout_prob, 0.1);
  EXPECT_EQ(config.initializer_range, 0.02);
  EXPECT_EQ(config.layer_norm_eps, 1e-12);
  EXPECT_EQ(config.hidden_act, Activation::kGelu);
  EXPECT_TRUE(config.labels.empty());
  EXPECT_EQ(config.architecture, "");
  EXPECT_EQ(parse(R"({"hidden_size": null, "hidden_act": null, "id2label": null})").hidden_size, 768)
      << "null is absent";
}

TEST(BertConfigTest, OtherArchitecturesAreRefused) {
  EXPECT_EQ(refusal(R"({"model_type": "roberta"})"),
            "unsupported: m/config.json: \"model_type\" is \"roberta\"; Cloze reads BERT checkpoints (\"bert\")");
  EXPECT_EQ(refusal(R"({"position_embedding_type": "relative_key"})"),
            "unsupported: m/config.json: \"position_embedding_type\" is \"relative_key\"; only \"absolute\" is known");
  EXPECT_EQ(refusal(R"({"is_decoder": true})"),
            "unsupported: m/config.json: \"is_decoder\" is true; only encoders are known");
  EXPECT_EQ(refusal(R"({"add_cross_attention": true})"),
            "unsupported: m/config.json: \"add_cross_attention\" is true; only encoders are known");
  EXPECT_EQ(refusal(R"({"is_decoder": false, "position_embedding_type": "absolute"})"), "no error");
  EXPECT_EQ(refusal(R"({"hidden_act": "silu"})"),
            "unsupported: m/config.json: \"hidden_act\" is \"silu\"; known are gelu, gelu_new, gelu_pytorch_tanh, "
            "gelu_fast, relu, tanh");
}

TEST(BertConfigTest, ImpossibleSizesAreRefused) {
  EXPECT_EQ(refusal(R"({"hidden_size": 100, "num_attention_heads": 12})"),
            "value: m/config.json: \"hidden_size\" 100 does not divide into \"num_attention_heads\" 12");
  EXPECT_EQ(refusal(R"({"num_attention_heads": 0})"),
            "value: m/config.json: \"num_attention_heads\" must be 1 to 1048576, found 0");
  EXPECT_EQ(refusal(R"({"hidden_size": -768})"),
            "value: m/config.json: \"hidden_size\" must be 1 to 1048576, found -768");
  EXPECT_EQ(refusal(R"({"vocab_size": 4611686018427387904})"),
            "value: m/config.json: \"vocab_size\" must be 1 to 268435456, found 4611686018427387904");
  EXPECT_EQ(refusal(R"({"max_position_embeddings": 65537})"),
            "value: m/config.json: \"max_position_embeddings\" must be 1 to 65536, found 65537");
  EXPECT_EQ(refusal(R"({"hidden_dropout_prob": 1})"),
            "value: m/config.json: \"hidden_dropout_prob\" must be in [0, 1), found 1");
  EXPECT_EQ(refusal(R"({"attention_probs_dropout_prob": -0.1})"),
            "value: m/config.json: \"attention_probs_dropout_prob\" must be in [0, 1), found -0.1");
}

TEST(BertConfigTest, WrongTypesAreRefused) {
  EXPECT_EQ(refusal(R"({"hidden_size": "768"})"),
            "format: m/config.json: \"hidden_size\" must be an integer, found string \"768\"");
  EXPECT_EQ(refusal(R"({"hidden_size": 768.5})"),
            "format: m/config.json: \"hidden_size\" must be an integer, found number 768.5");
  EXPECT_EQ(refusal(R"({"layer_norm_eps": "1e-12"})"),
            "format: m/config.json: \"layer_norm_eps\" must be a number, found string \"1e-12\"");
  EXPECT_EQ(refusal(R"({"hidden_act": 1})"), "format: m/config.json: \"hidden_act\" must be a string, found number 1");
  EXPECT_EQ(refusal(R"({"is_decoder": 0})"),
            "format: m/config.json: \"is_decoder\" must be true or false, found number 0");
  EXPECT_EQ(refusal(R"({"cloze": 1})"), "format: m/config.json: \"cloze\" must be an object, found number");
  EXPECT_EQ(refusal("[]"), "format: m/config.json: expected a JSON object, found array");
}

TEST(BertConfigTest, BadLabelsAreRefused) {
  EXPECT_EQ(refusal(R"({"id2label": ["a", "b"]})"),
            "format: m/config.json: \"id2label\" must be an object, found array");
  EXPECT_EQ(refusal(R"({"id2label": {"0": "a", "2": "b"}})"),
            "format: m/config.json: \"id2label\" must have the keys 0 to 1, found \"2\"");
  EXPECT_EQ(refusal(R"({"id2label": {"0": "a", "x": "b"}})"),
            "format: m/config.json: \"id2label\" must have the keys 0 to 1, found \"x\"");
  EXPECT_EQ(refusal(R"({"id2label": {"0": "a", "-1": "b"}})"),
            "format: m/config.json: \"id2label\" must have the keys 0 to 1, found \"-1\"");
  EXPECT_EQ(refusal(R"({"id2label": {"0": "a", "00": "b"}})"),
            "format: m/config.json: \"id2label\" must have the keys 0 to 1, found \"00\"");
  EXPECT_EQ(refusal(R"({"id2label": {"0": 7}})"),
            "format: m/config.json: \"id2label\" 0 must be a string, found number");
  EXPECT_EQ(refusal(R"({"id2label": {"0": "a", "1": "b", "2": "a"}})"),
            "format: m/config.json: \"id2label\" gives 0 and 2 the same name \"a\"; rename one");
}

TEST(BertConfigTest, UnknownKeysAreKept) {
  const BertConfig config = parse(R"({"transformers_version": "4.30.2", "problem_type": null, "_name": {"a": [1]},
                                      "classifier_dropout": 0.3, "hidden_size": 24})");
  Json json = config.to_json();
  EXPECT_EQ(json["transformers_version"], "4.30.2");
  EXPECT_TRUE(json["problem_type"].is_null());
  EXPECT_EQ(json["_name"].dump(), R"({"a":[1]})");
  EXPECT_EQ(json["classifier_dropout"], 0.3);
  EXPECT_EQ(json.begin().key(), "transformers_version") << "the order too";
}

TEST(BertConfigTest, WritesWhatItReads) {
  BertConfig config = BertConfig::preset("mini");
  config.vocab_size = 99;
  config.layer_norm_eps = 1e-6;
  config.hidden_dropout_prob = 0.3;
  config.hidden_act = Activation::kTanh;
  config.labels = {"b", "a", "c"};
  config.architecture = "BertForTokenClassification";
  config.cloze["pooling"] = "mean";
  Json json = config.to_json();
  EXPECT_EQ(json["model_type"], "bert");
  EXPECT_EQ(json["architectures"].dump(), R"(["BertForTokenClassification"])");
  EXPECT_EQ(json["id2label"].dump(), R"({"0":"b","1":"a","2":"c"})");
  EXPECT_EQ(json["label2id"].dump(), R"({"b":0,"a":1,"c":2})");
  EXPECT_EQ(json["cloze"].dump(), R"({"pooling":"mean"})");
  const BertConfig again = BertConfig::from_json(json, "again");
  EXPECT_EQ(again.to_json().dump(), json.dump());
  EXPECT_EQ(again.vocab_size, 99);
  EXPECT_EQ(again.layer_norm_eps, 1e-6);
  EXPECT_EQ(again.hidden_act, Activation::kTanh);
  EXPECT_THAT(again.labels, ElementsAre("b", "a", "c"));
  EXPECT_EQ(BertConfig().to_json()["architectures"].dump(), R"(["BertModel"])");
}

TEST(BertConfigTest, ChangesWinOverWhatWasRead) {
  BertConfig config = parse(R"({"hidden_size": 24, "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1},
                                "cloze": {"task": "x"}})");
  config.hidden_size = 36;
  config.labels = {"z"};
  config.cloze["task"] = "y";
  Json json = config.to_json();
  EXPECT_EQ(json["hidden_size"], 36);
  EXPECT_EQ(json["id2label"].dump(), R"({"0":"z"})");
  EXPECT_EQ(json["label2id"].dump(), R"({"z":0})");
  EXPECT_EQ(json["cloze"].dump(), R"({"task":"y"})");
  config.labels.clear();
  config.cloze = Json::object();
  json = config.to_json();
  EXPECT_FALSE(json.contains("id2label")) << "labels that were taken away must not come back";
  EXPECT_FALSE(json.contains("label2id"));
  EXPECT_FALSE(json.contains("cloze"));
}

TEST(BertConfigTest, ActivationKeepsItsSpelling) {
  for (const char* name : {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"}) {
    const BertConfig config = BertConfig::from_json({{"hidden_act", name}}, "test");
    EXPECT_EQ(config.hidden_act, Activation::kGeluTanh);
    EXPECT_EQ(config.to_json()["hidden_act"], name);
  }
  BertConfig config = parse(R"({"hidden_act": "gelu_fast"})");
  config.hidden_act = Activation::kRelu;
  EXPECT_EQ(config.to_json()["hidden_act"], "relu");
  EXPECT_EQ(BertConfig().to_json()["hidden_act"], "gelu");
  EXPECT_EQ(error_of([] { EXPECT_EQ(parse(R"({"hidden_act": null})").to_json()["hidden_act"], "gelu"); }), "no error");
}

TEST(BertConfigTest, Presets) {
  const auto sizes = [](const char* name) {
    const BertConfig c = BertConfig::preset(name);
    return std::vector<int64_t>{c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.intermediate_size};
  };
  EXPECT_THAT(sizes("tiny"), ElementsAre(2, 128, 2, 512));
  EXPECT_THAT(sizes("mini"), ElementsAre(4, 256, 4, 1024));
  EXPECT_THAT(sizes("small"), ElementsAre(4, 512, 8, 2048));
  EXPECT_THAT(sizes("medium"), ElementsAre(8, 512, 8, 2048));
  EXPECT_THAT(sizes("base"), ElementsAre(12, 768, 12, 3072));
  EXPECT_THAT(sizes("large"), ElementsAre(24, 1024, 16, 4096));
  EXPECT_EQ(error_of([] { BertConfig::preset("huge"); }),
            "usage: unknown size \"huge\"; known are tiny, mini, small, medium, base, large");
}

TEST(BertConfigTest, PrunedShapes) {
  Json json = {{"hidden_size", 96},
               {"num_attention_heads", 3},
               {"num_hidden_layers", 2},
               {"intermediate_size", 100},
               {"cloze",
                {{"task", "t"},
                 {"head_size", 64},
                 {"layers", {{{"heads", 0}, {"feed_forward", 7}}, {{"heads", 2}, {"feed_forward", 0}}}}}}};
  const BertConfig config = BertConfig::from_json(json, "c");
  EXPECT_THAT(config.layers, ElementsAre(LayerShape{0, 7}, LayerShape{2, 0}));
  EXPECT_EQ(config.head_width(), 64);
  EXPECT_EQ(config.layer_elements(config.layer(0)), 2 * 96 * 7 + 7 + 6 * 96);
  EXPECT_EQ(config.encoder_elements(), 2 * 96 * 7 + 7 + 4 * 96 * 128 + 3 * 128 + 2 * 6 * 96);
  EXPECT_EQ(config.forward_flops(10), 10. * 2 * 2 * 96 * 7 + 10. * (2 * 4 * 96 * 128 + 4 * 10 * 128));
  const Json written = config.to_json();
  EXPECT_EQ(written["cloze"], json["cloze"]);
  Json odd = json;  // another order, and members that nobody knows
  odd["cloze"] = {{"layers", {{{"feed_forward", 7}, {"heads", 0}, {"x", 1}}, {{"heads", 2}, {"feed_forward", 0}}}},
                  {"task", "t"}};
  odd["num_attention_heads"] = 4;
  const BertConfig read = BertConfig::from_json(odd, "c");
  EXPECT_EQ(BertConfig::from_json(read.to_json(), "c").cloze, read.cloze);
  const auto refusal = [&](const std::function<void(Json&)>& damage) {
    Json bad = json;
    damage(bad["cloze"]);
    return error_of([&] { BertConfig::from_json(bad, "c"); });
  };
  EXPECT_THAT(refusal([](Json& j) { j["layers"].erase(0); }),
              HasSubstr("must be an array of \"num_hidden_layers\" (2)"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0] = 5; }), HasSubstr("must hold objects"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["heads"] = -1; }), HasSubstr("a layer of -1 heads and 7 neurons"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][1].erase("feed_forward"); }), HasSubstr("feed_forward"));
  EXPECT_THAT(refusal([](Json& j) { j["head_size"] = -2; }), HasSubstr("\"head_size\" must be"));
  json["num_attention_heads"] = 5;
  json["cloze"].erase("head_size");
  EXPECT_THAT(error_of([&] { BertConfig::from_json(json, "c"); }), HasSubstr("does not divide"));
}

TEST(BertConfigTest, Counts) {
  const BertConfig base = BertConfig::preset("base");
  EXPECT_EQ(base.layer_elements(base.layer(0)), 7087872);
  // 12 layers, 128 tokens: 2 flops for each weight of the products, and q k^T and P v.
  EXPECT_EQ(base.forward_flops(128), 12. * (128. * 2 * 7077888 + 2. * 2 * 128 * 128 * 768));
}

}  // namespace
}  // namespace cloze
