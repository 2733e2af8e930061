// `cloze pretrain` from outside: what it shows, leaves behind, and hands to the next command; clocks and steps.
#include "pretrain.h"

#include <gmock/gmock.h>

#include "cloze/base/json.h"

namespace cloze::test {
namespace {

using testing::HasSubstr;

std::set<std::string> names_in(const Path& folder) {
  std::set<std::string> names;
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.insert(entry.path().filename().string());
  return names;
}

/// Folders of the moment that are there now.
size_t temporary_folders(const Workplace& place) {
  size_t count = 0;
  for (const std::string& name : names_in(place / "tmp")) count += name.starts_with("cloze-tokens-") ? 1 : 0;
  return count;
}

TEST(Pretrain, ShowsRowsAndLeavesNothing) {
  const Workplace place;
  std::filesystem::create_directories(place / "tmp");
  const std::string shape = quick_pretraining(place, "");
  const auto run = [&](const std::string& more) {
    const Outcome outcome =
        place.shell("export TMPDIR='" + (place / "tmp").string() + "'; '" CLOZE_BINARY "' " + shape + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(temporary_folders(place), 0u);
    return outcome;
  };
  run(" --show-batch 1");
  const auto before = names_in(place / "");
  const Outcome shown = run(" --show-batch 2");
  for (const char* words : {"row 1 of ", "row 2 of ", "from   ", "document ", "tokens to be <predicted>",
                            "pieces [CLS]", "[MASK]<", "; B ", "nothing was written"})
    EXPECT_THAT(shown.err, HasSubstr(words));
  EXPECT_THAT(shown.err, testing::Not(HasSubstr("row 3 of ")));
  EXPECT_EQ(names_in(place / ""), before);
  const Outcome dry = run(" --dry-run --output " + (place / "out").string());
  EXPECT_THAT(dry.err, HasSubstr("row 3 of "));
  EXPECT_THAT(dry.err, HasSubstr("dry run: 6 steps would be made; nothing was written"));
  EXPECT_EQ(names_in(place / ""), before);
  const Json record = parse_json(dry.out, "stdout");
  EXPECT_EQ(record["objective"], "mlm,nsp");
  EXPECT_EQ(record["steps"], 6);
  EXPECT_EQ(record["adam_beta2"], 0.98);
  EXPECT_EQ(record["inputs"]["tokens"].size(), 1u);
  // Asked for, tokens stay.
  EXPECT_THAT(run(" --show-batch 1 --cache-dir " + (place / "tokens").string()).err,
              HasSubstr("but for the corpus's tokens, in " + (place / "tokens").string()));
  EXPECT_EQ(names_in(place / "tokens").size(), 1u);
  EXPECT_THAT(run(" --show-batch 1 --cache-dir " + (place / "tokens").string()).err, HasSubstr("(from its cache)"));
}

TEST(Pretrain, LeavesAModelThatOthersTake) {
  const Workplace place;
  const Outcome trained = place.cloze(quick_pretraining(place, "out", "--weights-type f16"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(trained.out, "");
  for (const char* words : {"corpus: ", " documents, ", "% unknown", "held out", "perplexity", "done in "})
    EXPECT_THAT(trained.err, HasSubstr(words));
  EXPECT_EQ(names_in(place / "out"),
            (std::set<std::string>{"cache", "config.json", "metrics.jsonl", "model.safetensors", "run.json",
                                   "tokenizer.json", "tokenizer_config.json", "vocab.txt"}));
  const Outcome info = place.cloze("info --json " + (place / "out").string());
  EXPECT_THAT(info.out, HasSubstr("masked words"));
  const Outcome tuned =
      place.cloze("finetune --task text-classification --epochs 1 --model " + (place / "out").string() + " --train " +
                  sample("reviews_en.train.tsv") + " --output " + (place / "tuned").string());
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  // Back from a classifier: its task's notes go.
  const Outcome onward = place.cloze("pretrain --steps 1 --batch-size 4 --max-length 32 --threads 1 --model " +
                                     (place / "tuned").string() + " --corpus " + (place / "corpus.txt").string() +
                                     " --output " + (place / "onward").string());
  ASSERT_EQ(onward.exit_code, 0) << onward.err;
  const Json config = parse_json(read_file(place / "onward" / "config.json"), "config.json");
  EXPECT_FALSE(config.contains("cloze") && config["cloze"].contains("max_length")) << config.dump();
  EXPECT_FALSE(config.contains("id2label")) << config.dump();
}

TEST(Pretrain, WithoutHeldOutRowsItSaysSo) {
  const Workplace place;
  const Outcome trained = place.cloze(quick_pretraining(place, "out", "--heldout 0"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("the last weights are in "));
  EXPECT_THAT(trained.err, HasSubstr("--heldout"));
  EXPECT_THAT(trained.err, testing::Not(HasSubstr("--dev")));
}

TEST(Pretrain, IsListedAndFoundByNearNames) {
  const Workplace place;
  const Outcome help = place.cloze("pretrain --help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(place.cloze("--help").out, HasSubstr("pretrain"));
  EXPECT_THAT(place.cloze("pretrian").err, HasSubstr("did you mean pretrain?"));
}

/// Each option that --help lists has a row in the command's table of docs/cli.md, or is one of those described above
/// the tables.
TEST(Documentation, TablesListTheOptionsOfHelp) {
  const Workplace place;
  const std::string manual = read_file(CLOZE_SOURCE_DIR "/docs/cli.md");
  for (const std::string command :
       {"pretrain", "finetune", "compare-transfer", "ensemble", "prune", "quantize", "compress", "embed"}) {
    const size_t begin = manual.find("\n## " + command + "\n");
    ASSERT_NE(begin, std::string::npos) << command;
    const std::string section = manual.substr(begin, manual.find("\n## ", begin + 4) - begin);
    const std::set<std::string> shared = {"--help",      "--threads", "--format",    "--text",
                                          "--text-pair", "--label",   "--no-header", "--invalid-utf8",
                                          "--long",      "--stride",  "--profile",   "--max-length"};
    std::istringstream lines(place.cloze(command + " --help").out);
    int options = 0;
    for (std::string line; std::getline(lines, line);) {
      const size_t at = line.find("--");
      if (at == std::string::npos || at > 8) continue;
      const std::string option = line.substr(at, line.find_first_of(" ,\n", at) - at);
      if (shared.contains(option)) continue;
      ++options;
      EXPECT_TRUE(section.find("| `" + option + "`") != std::string::npos ||
                  section.find("| `" + option + " ") != std::string::npos)
          << command << " " << option << " has no row in docs/cli.md";
    }
    EXPECT_GE(options, 7) << command;
  }
}

TEST(Pretrain, TimeBudgetsEndInTime) {
  const Workplace place;
  const Outcome short_one = place.cloze(quick_pretraining(place, "none", "--time-budget 0.00001s"));
  EXPECT_EQ(short_one.exit_code, 2) << short_one.err;
  EXPECT_THAT(short_one.err, HasSubstr("--time-budget 0.00001s is less than one step"));
  EXPECT_EQ(names_in(place / "none"), (std::set<std::string>{"cache"}));
  const auto begin = std::chrono::steady_clock::now();
  const Outcome trained = place.cloze(quick_pretraining(place, "out", "--time-budget 1s"));
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_GE(took, 1);
  EXPECT_LT(took, 6) << "also on a busy machine";
  const Json run = parse_json(read_file(place / "out" / "run.json"), "run.json");
  EXPECT_EQ(run["time_budget"], "1s");
  EXPECT_GT(run["finished"]["steps"], 1);
}

TEST(Training, StepsAndTimeBudgetOfFinetune) {
  const Workplace place;
  const auto finetune = [&](const char* output, const std::string& more) {
    const Outcome result = place.cloze(
        small_training((place / output).string(), "--hidden 32 --dev " + sample("reviews_en.test.tsv") + " " + more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(read_file(place / output / "run.json"), "run.json");
  };
  EXPECT_EQ(finetune("steps", "--steps 3")["finished"]["steps"], 3);
  EXPECT_EQ(finetune("more", "--steps 30 --epochs 1")["finished"]["steps"], 30) << "instead of epochs: 13 steps each";
  const auto begin = std::chrono::steady_clock::now();
  const Json timed = finetune("timed", "--time-budget 2s --adam-beta2 0.98 --adam-epsilon 1e-6");
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_GE(took, 2);
  EXPECT_LT(took, 8);
  EXPECT_EQ(timed["adam_epsilon"], 1e-6);
  EXPECT_GT(timed["finished"]["steps"], 3);
  const Outcome dry = place.cloze(small_training("x", "--hidden 32 --dry-run --time-budget 2h30m"));
  EXPECT_THAT(dry.err, HasSubstr("dry run: steps would be made for 2h30m; nothing was written"));
}

}  // namespace
}  // namespace cloze::test
