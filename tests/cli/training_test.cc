// What people expect of a training command, from outside.
#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "cloze/base/json.h"
#include "program.h"

namespace cloze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string with_dev(const Path& output, const std::string& more) {
  return small_training(output.string(), "--hidden 32 --dev " + sample("reviews_en.test.tsv") + " " + more);
}

TEST(Training, DryRunShowsEverythingAndWritesNothing) {
  const Workplace place;
  const Outcome result = place.cloze(with_dev(place / "model", "--dry-run --epochs 2 --batch-size 16"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json run = parse_json(result.out, "stdout");
  EXPECT_EQ(run["batch_size"], 16);
  EXPECT_EQ(run["inputs"]["train_rows"], 400);
  EXPECT_EQ(run["inputs"]["model_config"]["hidden_size"], 32);
  for (const char* words : {"row 1 of 400\nlabel  positive (1)\npieces [CLS] superb", "ids    2 ", "row 3 of 400",
                            "memory: about ", "50 steps would be made; nothing was written"})
    EXPECT_THAT(result.err, HasSubstr(words));
  EXPECT_FALSE(std::filesystem::exists(place / "model"));
}

TEST(Training, GradientCheckpointingIsToldAndLeavesTheBitsAlone) {
  const Workplace place;
  const auto weights = [&](const char* name, const std::string& more) {
    const Outcome result = place.cloze(with_dev(place / name, "--epochs 1 --batch-size 64 " + more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_file(place / name / "model.safetensors");
  };
  EXPECT_TRUE(weights("kept", "") == weights("recomputed", "--gradient-checkpointing"));
  const Json run = parse_json(read_file(place / "recomputed" / "run.json"), "run.json");
  EXPECT_EQ(run["gradient_checkpointing"], true);
  const Outcome bench = place.cloze("bench --model " + (place / "kept").string() + " --length 8 --runs 1 --lean");
  EXPECT_EQ(bench.exit_code, 2);
  EXPECT_THAT(bench.err, HasSubstr("are for --mode train, got --mode infer"));
  EXPECT_EQ(
      place.cloze("bench --mode train --model " + (place / "kept").string() + " --length 8 --runs 1 --lean").exit_code,
      0);
}

TEST(Training, SeveralSeedsGiveMeanAndDeviation) {
  const Workplace place;
  const Outcome result = place.cloze(with_dev(place / "model", "--seeds 3 --seed 5 --epochs 1"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json seeds = parse_json(read_file(place / "model" / "seeds.json"), "seeds.json");
  ASSERT_EQ(seeds["seeds"].size(), 3u);
  double best = -1;
  int64_t best_seed = 0;
  std::vector<double> losses;
  for (const Json& run : seeds["seeds"]) {
    losses.push_back(run["dev_loss"]);
    const double accuracy = run["dev_accuracy"];
    if (accuracy > best) best_seed = run["seed"];
    best = std::max(best, accuracy);
  }
  EXPECT_EQ(seeds["seeds"][2]["seed"], 7);
  const double mean = (losses[0] + losses[1] + losses[2]) / 3;
  double squares = 0;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  ASSERT_GT(squares, 0) << "the seeds make a difference";
  EXPECT_NEAR(seeds["metrics"]["dev_loss"]["mean"].get<double>(), mean, 1e-12);
  EXPECT_NEAR(seeds["metrics"]["dev_loss"]["deviation"].get<double>(), std::sqrt(squares / 2), 1e-9);
  EXPECT_EQ(seeds["model_of_seed"], best_seed);
  EXPECT_EQ(read_file(place / "model" / "model.safetensors"),
            read_file(place / "model" / ("seed-" + std::to_string(best_seed)) / "model.safetensors"));
  EXPECT_THAT(result.err, HasSubstr("accuracy "));
  EXPECT_THAT(result.err, HasSubstr(" ± "));
  EXPECT_EQ(place.cloze("predict --model " + (place / "model").string(), "fine\n").exit_code, 0);
  const Outcome again = place.cloze(with_dev(place / "model", "--seeds 3 --seed 5 --epochs 1 --resume"));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(parse_json(read_file(place / "model" / "seeds.json"), "seeds.json"), seeds) << "finished runs are kept";
}

TEST(Training, ClassWeightsMoveTheModelTowardsTheHeavierClass) {
  const Workplace place;
  const auto share = [&](const std::string& weights) {
    const Path output = place / ("w" + std::to_string(weights.size()));
    const Outcome trained = place.cloze(with_dev(output, "--epochs 4 --class-weights " + weights));
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.err, HasSubstr("class weights: "));
    std::istringstream lines(
        place.cloze("predict --model " + output.string() + " --input " + sample("reviews_en.test.tsv")).out);
    int positive = 0;
    for (std::string line; std::getline(lines, line);) positive += parse_json(line, "line")["label"] == "positive";
    return positive;
  };
  EXPECT_EQ(share("positive=50"), 100);
  EXPECT_EQ(share("negative=50,positive=1"), 0);
}

TEST(Training, EventFilesLieBesideTheModel) {
  const Workplace place;
  ASSERT_EQ(place.cloze(with_dev(place / "model", "--tensorboard --epochs 1")).exit_code, 0);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(place / "model" / "tensorboard")) {
    const std::string bytes = read_file(entry.path());
    EXPECT_THAT(entry.path().filename().string(), testing::StartsWith("events.out.tfevents."));
    for (const char* tag : {"brain.Event:2", "train/loss", "train/learning_rate", "dev/accuracy"})
      EXPECT_THAT(bytes, HasSubstr(tag));
    ++files;
  }
  EXPECT_EQ(files, 1);
  ASSERT_EQ(place.cloze(with_dev(place / "model", "--tensorboard --epochs 1 --resume")).exit_code, 0);
  const std::filesystem::directory_iterator all(place / "model" / "tensorboard");
  EXPECT_EQ(std::distance(begin(all), end(all)), 1) << "a run that is done makes no further file";
}

class LongRows : public testing::Test {
 protected:
  Outcome predict(const std::string& options, const std::string& rows) {
    return place_.cloze("predict --model " + (place_ / "model").string() + " " + options, rows);
  }
  void SetUp() override {
    const Outcome trained = place_.cloze(with_dev(place_ / "model", "--max-length 32 --epochs 1"));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.err, HasSubstr("rows were longer than 32 tokens and were cut (--long window reads all"));
  }
  Workplace place_;
};

TEST_F(LongRows, AreCountedWhateverIsDoneWithThem) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "! ";
  const Json cut = parse_json(predict("", text + "\n").out, "line");
  EXPECT_EQ(cut["tokens"], 32);
  EXPECT_EQ(cut["windows"], 1);
  EXPECT_EQ(cut["truncated"], 70);
  const Outcome middle = predict("--long head-tail", text + "\n");
  EXPECT_EQ(parse_json(middle.out, "line")["truncated"], 70);
  EXPECT_THAT(middle.err, HasSubstr("1 of 1 rows were longer than 32 tokens and lost their middle"));
  const Outcome split = predict("--long window --stride 6", text + "\nshort\n");
  const Json windows = parse_json(split.out.substr(0, split.out.find('\n')), "line");
  EXPECT_EQ(windows["truncated"], 0);
  EXPECT_EQ(windows["windows"], 4);  // 30 + 3 * 24 = 102 places for 100 tokens
  EXPECT_EQ(windows["tokens"], 100 + 3 * 6 + 4 * 2);
  EXPECT_THAT(split.err, HasSubstr("1 of 2 rows were read in several windows, 4 in all"));
}

TEST_F(LongRows, EvaluateCountsThemToo) {
  const auto evaluate = [&](const std::string& how) {
    const Outcome result = place_.cloze("evaluate --model " + (place_ / "model").string() + " --data " +
                                        sample("reviews_en.test.tsv") + " --long " + how);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(result.out, "stdout");
  };
  const Json cut = evaluate("truncate"), split = evaluate("window");
  EXPECT_GT(cut["truncated"], 0);
  EXPECT_EQ(cut["windowed"], 0);
  EXPECT_EQ(split["truncated"], 0);
  EXPECT_EQ(split["windowed"], cut["truncated"]);
}

TEST_F(LongRows, TenMegabytesAreAnsweredInBoundedMemory) {
  std::string text;
  while (text.size() < 10'000'000) text += "an excellent and moving film; ";
  // A limit on the address space stands for bounded memory: the program alone takes about 60 MB of it.
  const Path file = place_.write("long.txt", text + "\n");
  const std::string command = std::string(kSanitized ? "" : "ulimit -v 500000; ") +
                              "'" CLOZE_BINARY "' predict --threads 1 --long window --model '" +
                              (place_ / "model").string() + "' --input '" + file.string() + "' > '" +
                              (place_ / "out").string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const Json answer = parse_json(read_file(place_ / "out"), "line");
  EXPECT_EQ(answer["truncated"], 0);
  EXPECT_GT(answer["windows"], 50000);
}

TEST_F(LongRows, TrainingInWindowsIsNotedInTheModel) {
  const Outcome trained =
      place_.cloze(with_dev(place_ / "split", "--max-length 16 --long window --stride 3 --epochs 1"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("train: "));
  EXPECT_THAT(trained.err, HasSubstr("rows were read in several windows"));
  const Json config = parse_json(read_file(place_ / "split" / "config.json"), "config.json");
  EXPECT_EQ(config["cloze"]["long"], "window");
  EXPECT_EQ(config["cloze"]["stride"], 3);
  const Outcome answer =
      place_.cloze("predict --model " + (place_ / "split").string(), "good " + std::string(100, '!') + "\n");
  EXPECT_GT(parse_json(answer.out, "line")["windows"], 1) << "as trained";
}

TEST(Heads, AMissingOneIsRefusedWithTheCommandThatTrainsIt) {
  const Workplace place;
  ASSERT_EQ(place.cloze(with_dev(place / "model", "--epochs 1")).exit_code, 0);
  // The same model without its classifier: an encoder, as pretraining leaves it.
  const Path config = place / "model" / "config.json";
  Json object = parse_json(read_file(config), "config.json");
  object["architectures"] = {"BertModel"};
  object.erase("cloze");
  write_file(config, dump_json(object));
  const Outcome unknown = place.cloze("predict --model " + (place / "model").string(), "x\n");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("name it with --task"));
  std::string weights = read_file(place / "model" / "model.safetensors");
  for (size_t at = 0; (at = weights.find("\"classifier.", at)) != std::string::npos; at += 5)
    weights.replace(at, 12, "\"classifiex.");
  write_file(place / "model" / "model.safetensors", weights);
  const Outcome missing =
      place.cloze("predict --task text-classification --model " + (place / "model").string(), "x\n");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(missing.out, "");
  EXPECT_THAT(missing.err, HasSubstr("has no classifier"));
  EXPECT_THAT(missing.err, HasSubstr("cloze finetune --task text-classification --model"));
}

TEST(Heads, LabelNamesSurviveEveryRoundTrip) {
  const Workplace place;
  const std::string names[] = {"a \"quoted\" one", "back\\slash", "好评", "1", "with, comma", "émoji 🙂"};
  std::string rows = "label,text\n";
  for (int copies = 0; copies < 8; ++copies)
    for (const std::string& name : names) {
      std::string field = name;
      for (size_t at = 0; (at = field.find('"', at)) != std::string::npos; at += 2) field.insert(at, 1, '"');
      rows += "\"" + field + "\",text number " + std::to_string(copies) + "\n";
    }
  const Path file = place.write("odd labels.csv", rows);
  const std::string data = "--train '" + file.string() + "'";
  const auto train = [&](const char* output, const std::string& from) {
    const Outcome result = place.cloze("finetune --task text-classification " + from + " " + data +
                                       " --epochs 1 --output '" + (place / output).string() + "'");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.err;
  };
  train("one", "--from-scratch --vocab " + sample("vocab_en.txt") + " --layers 1 --hidden 32 --heads 2");
  const std::string words = train("two", "--model '" + (place / "one").string() + "'");
  EXPECT_THAT(words, Not(HasSubstr("starts anew"))) << "the same labels: the head is kept";
  for (const char* model : {"one", "two"}) {
    const Json config = parse_json(read_file(place / model / "config.json"), "config.json");
    const Outcome result = place.cloze("predict --model '" + (place / model).string() + "'", "x\n");
    const Json answer = parse_json(result.out, "line");
    for (const std::string& name : names) {
      EXPECT_TRUE(answer["scores"].contains(name)) << name;
      const int64_t id = config["label2id"][name];
      EXPECT_EQ(config["id2label"][std::to_string(id)], name);
    }
    const Outcome evaluated =
        place.cloze("evaluate --model '" + (place / model).string() + "' --data '" + file.string() + "'");
    EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  }
}

TEST(Heads, OtherLabelsStartANewHeadAndSaySo) {
  const Workplace place;
  ASSERT_EQ(place.cloze(with_dev(place / "model", "--epochs 1")).exit_code, 0);
  const Path file = place.write("stars.tsv", "label\ttext\n1\tbad\n5\tgood\n1\tawful\n5\tfine\n");
  const Outcome result =
      place.cloze("finetune --task text-classification --epochs 1 --model " + (place / "model").string() + " --train " +
                  file.string() + " --output " + (place / "other").string());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("labels of the data:  1, 5\n  labels of the model: negative, positive"));
  const Outcome evaluated = place.cloze("evaluate --model " + (place / "model").string() + " --data " + file.string());
  EXPECT_EQ(evaluated.exit_code, 1);
  EXPECT_EQ(evaluated.out, "");
  EXPECT_THAT(evaluated.err, HasSubstr("labels of the data:  1, 5\n  labels of the model: negative, positive"));
}

}  // namespace
}  // namespace cloze::test
