// quantize and compare through the program.
#include "cloze/base/json.h"
#include "hostile.h"
#include "tuned_model.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kQuantize = "$CLOZE quantize --model ${D}tuned --output ${D}q ";

TEST(QuantizeCommand, EightBitsRunEverywhere) {
  const HostilePlace place;
  const Outcome made = place.run(kTunedModel + kQuantize + "--dev ${D}t.tsv");
  expect_outcome(place, made, 0, {"weights ", "accuracy ", "done: the model is in %q"});
  const Json line = Json::parse(made.out);
  EXPECT_EQ(line["int8"], Json({"embeddings", "layer.0.attention", "layer.0.ffn"}));
  EXPECT_LT(line["megabytes"], line["megabytes_before"]);
  for (const char* command :
       {"evaluate --model ${D}q --data ${D}t.tsv", "predict --model ${D}q --input ${D}t.tsv",
        "embed --model ${D}q --input ${D}t.tsv", "inspect --model ${D}q --text good", "info ${D}q",
        "bench --model ${D}q --length 4", "bench --model ${D}q --length 4 --mode train",
        "bench --model ${D}q --mode start", "evaluate --model ${D}q --data ${D}t.tsv --precision int8",
        "finetune --task text-classification --model ${D}q --train ${D}t.tsv --epochs 2 --output ${D}again",
        "finetune --task text-classification --encoder frozen --model ${D}q --train ${D}t.tsv --output ${D}frozen",
        "predict --model ${D}frozen --input ${D}t.tsv", "quantize --model ${D}q --output ${D}twice",
        "prune --model ${D}q --output ${D}pruned --keep heads=0.5 --multiple 1 --batch 1 --length 4",
        "convert --dense --model ${D}q --output ${D}dense", "evaluate --model ${D}dense --data ${D}t.tsv"})
    expect_outcome(place, place.run(std::string("$CLOZE ") + command), 0, {});
  EXPECT_EQ(read_file(place / "q" / "model.safetensors"), read_file(place / "twice" / "model.safetensors"));
  EXPECT_FALSE(Json::parse(read_file(place / "again" / "config.json")).contains("quantization_config"));
  EXPECT_TRUE(Json::parse(read_file(place / "frozen" / "config.json")).contains("quantization_config"));
  EXPECT_THAT(place.run("$CLOZE info ${D}q").out, HasSubstr("I8"));
}

TEST(QuantizeCommand, PartsThatCostTooMuchStayFloats) {
  const HostilePlace place;
  const Outcome made = place.run(kTunedModel + kQuantize + "--dev ${D}t.tsv --max-drop 100");
  expect_outcome(place, made, 0, {"alone in 8 bits", "layer.0.ffn"});
  EXPECT_EQ(Json::parse(made.out)["int8"].size(), 3);
  const Outcome skipped = place.run("$CLOZE quantize --model ${D}tuned --output ${D}s --skip embeddings,layer.0.ffn");
  expect_outcome(place, skipped, 0, {});
  EXPECT_EQ(Json::parse(skipped.out)["int8"], Json({"layer.0.attention"}));
}

TEST(QuantizeCommand, InputsMeasuredBeforehand) {
  const HostilePlace place;
  const Outcome made = place.run(kTunedModel + kQuantize + "--calibrate ${D}t.tsv --dev ${D}t.tsv");
  expect_outcome(place, made, 0, {"inputs measured on ", "they are few"});
  const std::string info = place.run("$CLOZE info ${D}q").out;
  EXPECT_THAT(info, HasSubstr("I8"));
  EXPECT_THAT(read_file(place / "q" / "model.safetensors").substr(0, 20000), HasSubstr("query.input_scale"));
  for (const char* command :
       {"predict --model ${D}q --input ${D}t.tsv", "quantize --model ${D}q --output ${D}twice",
        "finetune --task text-classification --model ${D}q --train ${D}t.tsv --epochs 1 --output ${D}again"})
    expect_outcome(place, place.run(std::string("$CLOZE ") + command), 0, {});
  EXPECT_EQ(read_file(place / "q" / "model.safetensors"), read_file(place / "twice" / "model.safetensors"));
  place.run("rm -r ${D}q; echo x > ${D}one.txt");
  expect_outcome(place, place.run(kQuantize + "--calibrate ${D}one.txt --scan --dev ${D}t.tsv"), 0,
                 {"inputs measured on 1 row(s), 3 tokens", "alone in 8 bits"});
}

TEST(QuantizeCommand, HalfWidthTakesHalfAndComesBack) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kQuantize + "--weights f16; $CLOZE quantize --model ${D}q --weights f32 --output ${D}f");
  expect_outcome(place, made, 0, {});
  const auto size = [&](const char* name) { return std::filesystem::file_size(place / name / "model.safetensors"); };
  EXPECT_LT(size("q"), size("f"));
  EXPECT_EQ(size("f"), size("tuned"));
}

TEST(QuantizeCommand, RefusesInWords) {
  const HostilePlace place;
  const auto refused = [&](const std::string& options, int code, const std::string& words) {
    const Outcome outcome = place.run("$CLOZE quantize --model $M --output ${D}q " + options);
    expect_outcome(place, outcome, code, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "q")) << options;
  };
  refused("--weights int4", 2, "unknown --weights \"int4\"; known are int8, f32, f16, bf16");
  refused("--rest half", 2, "unknown --rest \"half\"; known are f32, f16, bf16");
  refused("--skip layer.9.ffn", 2, "no part \"layer.9.ffn\"");
  refused("--max-drop 1", 2, "--scan and --max-drop want labelled rows: give --dev");
  refused("--weights f16 --scan --dev x", 2, "are for --weights int8");
  refused("--dev ${D}nothing.tsv", 1, "nothing.tsv");
  refused("--calibrate ${D}nothing.txt", 1, "nothing.txt");
  refused("--weights f16 --calibrate x", 2, "--calibrate are for --weights int8");
  refused("--calibrate $M/config.json --calibration-rows 0", 2, "--calibration-rows must be at least 1");
  place.run("printf '' > ${D}empty.txt");
  refused("--calibrate ${D}empty.txt", 1, "empty.txt");
}

TEST(PruneCommand, EightBitsStayEightBits) {
  const HostilePlace place;
  expect_outcome(place, place.run(kTunedModel + "echo good > ${D}few.txt; " + kQuantize), 0, {});
  const std::string prune = "$CLOZE prune --model ${D}q --multiple 1 --batch 1 --length 4 --output ${D}";
  for (const char* how :
       {"heads --keep heads=0.5", "size --target-size 5kB", "pieces --vocabulary ${D}few.txt",
        "again --keep heads=0.5 --data ${D}t.tsv --recover 1",
        "rounds --target-size 5kB --data ${D}t.tsv --recover 1 --gradual --rounds 2", "width --keep hidden=0.5"}) {
    const std::string name = std::string(how).substr(0, std::string(how).find(' '));
    expect_outcome(place, place.run(prune + how), 0, {});
    EXPECT_TRUE(Json::parse(read_file(place / name / "config.json")).contains("quantization_config")) << how;
    EXPECT_LT(std::filesystem::file_size(place / name / "model.safetensors"),
              std::filesystem::file_size(place / "q" / "model.safetensors"))
        << how;
    expect_outcome(place, place.run("$CLOZE evaluate --data ${D}t.tsv --model ${D}" + name), 0, {});
  }
  // A size that is reached in rounds is not passed by far: each round is measured as it will be stored.
  EXPECT_GT(std::filesystem::file_size(place / "rounds" / "model.safetensors"), 4000);
}

TEST(CompareCommand, ModelsStandSideBySide) {
  const HostilePlace place;
  const Outcome made = place.run(kTunedModel + kQuantize +
                                 "2>> ${D}log > ${D}log; $CLOZE compare ${D}tuned ${D}q --data ${D}t.tsv --runs 1");
  expect_outcome(place, made, 0,
                 {"parameters", "1x128 ms", "against %tuned: ", "McNemar's exact test", "All measured now"});
  const Json first = Json::parse(made.out.substr(0, made.out.find('\n')));
  const Json second = Json::parse(made.out.substr(made.out.find('\n') + 1));
  EXPECT_EQ(first["parameters"], second["parameters"]);
  EXPECT_GT(first["peak_bytes"], 1e6);
  EXPECT_GT(second["seconds_1x16"], 0);
  EXPECT_EQ(first["rows"], 4);
  EXPECT_TRUE(second["against_first"].contains("p_value"));
  EXPECT_FALSE(first.contains("against_first"));
  expect_outcome(place, place.run("$CLOZE compare ${D}tuned --runs 1"), 0, {"give --data for real ones"});
  expect_outcome(place, place.run("$CLOZE compare ${D}tuned ${D}nothing"), 1, {"nothing"});
  expect_outcome(place, place.run("$CLOZE compare ${D}tuned --data ${D}t.tsv --task fill-mask --runs 1"), 1,
                 {"has no head for"});
}

const std::string kCompress =
    "$CLOZE compress --model ${D}tuned --output ${D}c --data ${D}t.tsv --dev ${D}t.tsv --batch 2 --length 8 ";

// How much is pruned on the way depends on the clock, which sees little of so small a model.
TEST(CompressCommand, WritesTheChosenModelAndItsReport) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kCompress + "--speedup 1.3 --max-drop 100 --steps 1 --rounds 1 --multiple 4");
  expect_outcome(place, made, 0, {"> chosen", "whole ", "int8 ", "done: the model is in %c"});
  const Json whole = Json::parse(made.out.substr(0, made.out.find('\n')));
  EXPECT_EQ(whole["model"], "whole");
  EXPECT_EQ(whole["times_as_fast"], 1);
  EXPECT_THAT(read_file(place / "c" / "report.html"), HasSubstr("tuned, compressed"));
  EXPECT_FALSE(std::filesystem::exists(place / "c.tries"));
  EXPECT_FALSE(std::filesystem::exists(place / "c" / "run.json"));
  expect_outcome(place, place.run("$CLOZE evaluate --model ${D}c --data ${D}t.tsv"), 0, {});
}

TEST(CompressCommand, RefusesInWords) {
  const HostilePlace place;
  place.run(kTunedModel);
  const auto refused = [&](const std::string& options, int code, const std::string& words) {
    expect_outcome(place, place.run(kCompress + options), code, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "c.tries")) << options;
    EXPECT_FALSE(std::filesystem::exists(place / "c")) << options;
  };
  refused("--speedup 1", 2, "--speedup must be above 1");
  refused("--max-drop -1", 2, "--max-drop is in points of 100");
  refused("--steps 0", 2, "--steps must be 1 to 20");
  refused("--rest f8", 2, "unknown --rest \"f8\"; known are f32, f16, bf16");
  refused("--vocabulary ${D}none", 1, "%none");
  place.run("printf 'label\\ttext\\nup\\tgood\\nleft\\tx\\n' > ${D}t.tsv");
  refused("", 1, "must have rows of each of the model's labels");
}

TEST(PruneCommand, GoesToASizeAndRecovers) {
  const HostilePlace place;
  const std::string prune =
      "$CLOZE prune --model ${D}tuned --output ${D}p --batch 1 --length 4 --multiple 1 --data ${D}t.tsv ";
  const Outcome made = place.run(kTunedModel + prune + "--target-size 4.5kB --dev ${D}t.tsv --recover 2");
  expect_outcome(place, made, 0, {"training again on %t.tsv", "after    loss"});
  EXPECT_LT(std::filesystem::file_size(place / "p" / "model.safetensors"), 4500);
  const auto refused = [&](const std::string& options, int code, const std::string& words) {
    expect_outcome(place, place.run("rm -rf ${D}p; " + prune + options), code, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "p")) << options;
  };
  refused("--target-size 100MB", 2, "--target-size 100MB: the model is there already");
  refused("--target-size 5", 2, "--target-size takes a number above 0 with its unit (MB, kB, GB), got \"5\"");
  refused("--target-size 1kB", 1, "which is the most that is possible without --vocabulary");
  refused("--target-latency 1000s", 2, "the model is there already");
  refused("--keep heads=0.5 --target-size 5kB", 2, "exclude each other");
  refused("--keep heads=0.5 --gradual", 2, "give epochs with --recover");
  refused("--keep heads=0.5 --max-drop 1", 2, "--max-drop wants rows to judge by");
  // Nothing may be lost, and everything is: the whole model stays.
  const Outcome strict = place.run("printf 'label\\ttext\\nup\\tgood x\\ndown\\tbad x\\n' > ${D}d.tsv; " + prune +
                                   "--keep heads=0,ffn=0 --rounds 1 --max-drop 0 --dev ${D}d.tsv");
  expect_outcome(place, strict, 0, {"done: the pruned model is in %p"});
}

}  // namespace
}  // namespace cloze::test
