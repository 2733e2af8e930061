// prune and convert through the program.
#include "cloze/backend/sparse.h"
#include "cloze/base/json.h"
#include "hostile.h"
#include "tuned_model.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;

const std::string kPrune = "$CLOZE prune --model ${D}tuned --output ${D}p --batch 1 --length 4 --multiple 1 ";

TEST(PruneCommand, PrunesMeasuresAndRunsEverywhere) {
  const HostilePlace place;
  const Outcome pruned = place.run(kTunedModel + kPrune + "--keep heads=0.5,ffn=0.5 --data ${D}t.tsv --dev ${D}t.tsv");
  expect_outcome(place, pruned, 0,
                 {"heads/neurons by layer: 2/", "before   loss", "after    loss", "the pruned model is in %p"});
  const Json line = Json::parse(pruned.out);
  EXPECT_LT(line["parameters"], line["parameters_before"]);
  EXPECT_TRUE(line["before"].contains("accuracy") && line["after"].contains("accuracy"));
  const Json info = Json::parse(place.run("$CLOZE info ${D}p --json").out);
  EXPECT_EQ(info["cloze"]["layers"].size(), info["layers"]);
  EXPECT_THAT(place.run("$CLOZE info ${D}p").out, HasSubstr("█"));
  for (const char* command :
       {"evaluate --model ${D}p --data ${D}t.tsv", "predict --model ${D}p --input ${D}t.tsv",
        "embed --model ${D}p --input ${D}t.tsv", "inspect --model ${D}p --text good", "bench --model ${D}p --length 4",
        "bench --model ${D}p --length 4 --mode train", "evaluate --model ${D}p --data ${D}t.tsv --precision int8",
        "finetune --task text-classification --model ${D}p --train ${D}t.tsv --epochs 2 --output ${D}again",
        "prune --model ${D}again --output ${D}twice --keep layers=0.5,heads=0 --batch 1 --length 4",
        "evaluate --model ${D}twice --data ${D}t.tsv"})
    expect_outcome(place, place.run(std::string("$CLOZE ") + command), 0, {});
}

TEST(PruneCommand, DenseAnswersTheSame) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kPrune + "--keep heads=0.5,ffn=0.3; $CLOZE convert --dense --model ${D}p --output ${D}d");
  expect_outcome(place, made, 0, {"without --data what goes is chosen by the size of its weights alone"});
  const auto scores = [&](const std::string& model) {
    const Outcome found = place.run("echo good | $CLOZE predict --model ${D}" + model);
    expect_outcome(place, found, 0, {});
    return Json::parse(found.out)["score"].get<double>();
  };
  EXPECT_NEAR(scores("p"), scores("d"), 1e-6);
  EXPECT_FALSE(Json::parse(read_file(place / "d" / "config.json"))["cloze"].contains("layers"));
}

TEST(PruneCommand, APrunedVocabularyAnswersTheSameToTheBit) {
  const HostilePlace place;
  const Outcome made = place.run(
      "printf '[UNK]\\n[CLS]\\n[SEP]\\nugly\\ngood\\nbad\\nx\\n[PAD]\\n##ly\\nug\\n[MASK]\\n好\\n坏\\n' > ${D}v.txt; "
      "printf 'label\\ttext\\nup\\tgood x\\ndown\\tugly\\n' > ${D}t.tsv; "
      "$CLOZE finetune --task text-classification --from-scratch --vocab ${D}v.txt --layers 2 --hidden 8 --heads 2 "
      "--train ${D}t.tsv --epochs 3 --output ${D}tuned; echo 'good bad 好' > ${D}words; " +
      kPrune + "--vocabulary ${D}words");
  expect_outcome(place, made, 0, {"vocabulary: 9 of 13 pieces are kept"});
  EXPECT_EQ(read_file(place / "p" / "vocab.txt"), "[UNK]\n[CLS]\n[SEP]\ngood\nbad\nx\n[PAD]\n[MASK]\n好\n");
  const Json config = Json::parse(read_file(place / "p" / "config.json"));
  EXPECT_EQ(config["vocab_size"], 9);
  EXPECT_EQ(config["pad_token_id"], 6);
  const std::string ask = "printf 'good\\nbad 好 good\\nx\\n' | $CLOZE predict --model ${D}";
  const Outcome before = place.run(ask + "tuned"), after = place.run(ask + "p");
  expect_outcome(place, after, 0, {});
  EXPECT_EQ(before.out, after.out);
  EXPECT_EQ(Json::parse(place.run("echo 'ugly good' | $CLOZE tokenize --model ${D}p").out)["ids"], Json({1, 0, 3, 2}));
}

TEST(Teacher, ItsAnswersAreLearnedInsteadOfTheLabels) {
  const HostilePlace place;
  const std::string wrong =
      "sed 's/^up/x/; s/^down/up/; s/^x/down/' ${D}t.tsv > ${D}wrong.tsv; ";  // the rows' labels turned round
  const std::string learn =
      "$CLOZE finetune --task text-classification --model $M --epochs 60 --learning-rate 3e-3 --dropout 0 --threads 1 ";
  const Outcome made = place.run(kTunedModel + learn + "--train ${D}t.tsv --output ${D}teacher; " + wrong + learn +
                                 "--train ${D}wrong.tsv --teacher ${D}teacher --teacher-weight 1 --output ${D}student");
  expect_outcome(place, made, 0, {});
  const Outcome own = place.run("$CLOZE evaluate --model ${D}teacher --data ${D}t.tsv"),
                found = place.run("$CLOZE evaluate --model ${D}student --data ${D}t.tsv");
  expect_outcome(place, found, 0, {});
  EXPECT_EQ(Json::parse(own.out)["accuracy"], 1.0);
  EXPECT_EQ(Json::parse(found.out)["accuracy"], 1.0) << "labels did not count";
  EXPECT_NEAR(Json::parse(found.out)["loss"].get<double>(), Json::parse(own.out)["loss"].get<double>(), 0.05);
  const Json run = Json::parse(read_file(place / "student" / "run.json"));
  EXPECT_EQ(run["teacher_weight"], 1.0);
  const auto expect_refused = [&](int status, const std::string& options, const char* words) {
    expect_outcome(place, place.run("$CLOZE finetune --task text-classification --model $M --output ${D}no " + options),
                   status, {words});
  };
  expect_refused(2, "--train ${D}t.tsv --teacher ${D}teacher --teacher-weight 2", "--teacher-weight must be 0 to 1");
  expect_refused(1, "--train ${D}t.tsv --teacher ${D}none", "%none");
  expect_refused(2, "--encoder frozen --train ${D}t.tsv --teacher ${D}teacher",
                 "--teacher belongs to training the encoder");
  place.run("sed 's/^up/left/' ${D}t.tsv > ${D}left.tsv");
  expect_refused(2, "--train ${D}left.tsv --teacher ${D}teacher",
                 "knows the labels down, up, but the rows have down, left");
}

TEST(PruneCommand, TheHiddenWidthToo) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kPrune + "--keep hidden=0.5,heads=0.5 --data ${D}t.tsv --dev ${D}t.tsv --recover 1");
  expect_outcome(place, made, 0, {", hidden width "});
  const Json before = Json::parse(read_file(place / "tuned" / "config.json")),
             after = Json::parse(read_file(place / "p" / "config.json"));
  EXPECT_EQ(after["hidden_size"].get<int>() * 2, before["hidden_size"].get<int>());
  expect_outcome(place,
                 place.run("$CLOZE predict --model ${D}p < ${D}t.tsv && $CLOZE prune --model ${D}p --output ${D}q "
                           "--keep hidden=0.5 --multiple 2 && $CLOZE predict --model ${D}q < ${D}t.tsv"),
                 0, {"without --data"});
}

TEST(PruneCommand, ByMovement) {
  const HostilePlace place;
  const std::string by = "--importance movement --data ${D}t.tsv ";
  expect_outcome(place, place.run(kTunedModel + kPrune + by + "--keep heads=0.5,ffn=0.5 --rounds 2"), 0,
                 {"heads/neurons by layer: ", "the pruned model is in %p"});
  expect_outcome(place,
                 place.run("mv ${D}p ${D}units; " + kPrune + by +
                           "--sparsity 0.75 --gradual --rounds 2 --recover 1 --dev ${D}t.tsv && mv ${D}p ${D}way; " +
                           kPrune + "--sparsity 0.75"),
                 0, {"to see what moves, round 2 of 2", " of the encoder's products are zeros"});
  EXPECT_FALSE(read_file(place / "way" / "model.safetensors") == read_file(place / "p" / "model.safetensors"));
  place.run("rm -r ${D}p");
  expect_outcome(place, place.run(kPrune + "--importance movement --sparsity 0.5"), 2,
                 {"give labelled rows with --data"});
  expect_outcome(place, place.run(kPrune + "--importance fisher --data ${D}t.tsv --sparsity 0.5"), 2,
                 {"--sparsity goes by magnitude or movement, not by fisher"});
}

TEST(PruneCommand, FasterByTheClock) {
  const HostilePlace place;
  expect_outcome(place, place.run(kTunedModel + kPrune + "--target-speedup 1.01 --data ${D}t.tsv"), 0,
                 {"timing layers"});
  EXPECT_TRUE(std::filesystem::exists(place / "p" / "model.safetensors"));
}

TEST(PruneCommand, MistakesAreTold) {
  const HostilePlace place;
  place.run(kTunedModel);
  const auto expect_refused = [&](int status, const std::string& options, const char* words) {
    expect_outcome(place, place.run(kPrune + options), status, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "p"));
  };
  expect_refused(2, "", "what is to go? Give --keep");
  expect_refused(2, "--keep heads=2", "a share is a number from 0 to 1");
  expect_refused(2, "--keep heads=0.5 --target-speedup 2", "exclude each other");
  expect_refused(2, "--target-speedup 0.5", "--target-speedup must be above 1");
  expect_refused(2, "--keep heads=0.5 --importance fisher", "give labelled rows with --data");
  expect_refused(2, "--keep heads=0.5 --importance fischer --data ${D}t.tsv", "did you mean fisher?");
  expect_refused(1, "--target-speedup 1000", "which is the most that is possible");
  expect_refused(1, "--vocabulary ${D}none", "%none");
  place.run("printf 'label\\ttext\\nup\\tgood\\nleft\\tx\\n' > ${D}other.tsv");
  expect_refused(1, "--keep heads=0.5 --data ${D}other.tsv", "must have rows of each of the model's labels");
  place.run(
      "$CLOZE finetune --task text-classification --encoder frozen --model $M --train ${D}t.tsv --output ${D}frozen");
  expect_outcome(place, place.run("$CLOZE prune --model ${D}frozen --output ${D}p --keep heads=0.5"), 1,
                 {"compress the encoder, then fit the classifier again"});
  expect_outcome(place, place.run("$CLOZE convert --model $M --output ${D}p"), 2, {"Give --dense"});
}

TEST(PruneCommand, ZerosStayZerosWhileTheRestIsTrained) {
  const HostilePlace place;
  const Outcome made =
      place.run(kTunedModel + kPrune + "--sparsity 0.8 --recover 2 --gradual --rounds 2 --data ${D}t.tsv");
  expect_outcome(place, made, 0, {"training again on %t.tsv, 70 % zeros", "of the encoder's products are zeros"});
  const auto zeros = [&](const char* model) {
    Weights weights{place / model};
    const Tensor x = *weights.find("bert.encoder.layer.0.intermediate.dense.weight");
    return static_cast<double>(std::ranges::count(x.values<float>(), 0.0f)) / static_cast<double>(x.elements());
  };
  EXPECT_NEAR(zeros("p"), 0.8, 0.005);
  EXPECT_TRUE(Weights{place / "p"}.is_sparse("bert.encoder.layer.0.intermediate.dense.weight"));
  EXPECT_THAT(place.run("$CLOZE info --model ${D}p").out, HasSubstr("sparse F32"));
  const std::string tune = "$CLOZE finetune --task text-classification --model ${D}p --train ${D}t.tsv --epochs 1 ";
  expect_outcome(place, place.run(tune + "--output ${D}free; " + tune + "--keep-zeros --output ${D}kept"), 0, {});
  EXPECT_NEAR(zeros("kept"), 0.8, 0.005);
  EXPECT_LT(zeros("free"), 0.1);
  EXPECT_TRUE(Weights{place / "kept"}.is_sparse("bert.encoder.layer.0.intermediate.dense.weight"));
  EXPECT_FALSE(Weights{place / "free"}.is_sparse("bert.encoder.layer.0.intermediate.dense.weight"));
  expect_outcome(place, place.run(tune + "--keep-zeros --tune lora --output ${D}no"), 2, {"--keep-zeros"});
  const auto refused = [&](const std::string& options, const std::string& words) {
    expect_outcome(place, place.run("rm -rf ${D}p; " + kPrune + options), 2, {words});
  };
  refused("--sparsity 1", "--sparsity is a share of zeros above 0 and below 1");
  refused("--sparsity 0.5 --keep heads=0.5", "exclude each other");
  refused("--sparsity 0.5 --importance fisher --data ${D}t.tsv", "--sparsity goes by magnitude or movement");
  refused("--keep heads=0.5 --zero-blocks", "--zero-blocks says where the zeros of --sparsity stand");
}

TEST(PruneCommand, ZerosInBlocksStayBlocksWhileTheRestIsTrained) {
  const HostilePlace place;
  expect_outcome(place, place.run(kTunedModel + kPrune + "--sparsity 0.8 --zero-blocks --recover 1 --data ${D}t.tsv"),
                 0, {"of the encoder's products are zeros"});
  Weights weights{place / "p"};
  const std::string name = "bert.encoder.layer.0.intermediate.dense.weight";
  EXPECT_TRUE(weights.is_sparse(name));
  EXPECT_DOUBLE_EQ(sparse_weight(*weights.find(name)).shared_rows(), 1.0);
  expect_outcome(place, place.run("$CLOZE evaluate --model ${D}p --data ${D}t.tsv"), 0, {});
}

}  // namespace
}  // namespace cloze::test
