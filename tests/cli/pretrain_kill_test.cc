// Pretraining that is killed again and again, also while it tokenizes and saves, ends with the bits of a run that
// never was.
#include <iostream>

#include "pretrain.h"
#include "process.h"

namespace cloze::test {
namespace {

/// Checkpoints after each step or two: many kills fall into a save.
std::string killed_run(const Workplace& place, const std::string& output) {
  return small_pretraining(place, output,
                           "--hidden 64 --batch-size 16 --steps 60 --eval-steps 20 --evaluation-rows 64 --threads 2 "
                           "--checkpoint-steps 2 --resume");
}

std::vector<std::string> names_of(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

void expect_same_pretraining(const Path& a, const Path& b) {
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json", "config.json", "vocab.txt",
                           "tokenizer.json", "tokenizer_config.json"})
    EXPECT_TRUE(read_file(a / name) == read_file(b / name)) << name;
  EXPECT_EQ(names_of(b).size(), 8u) << "these, the caches, nothing else: " << testing::PrintToString(names_of(b));
  EXPECT_EQ(names_of(b / "cache").size(), 1u) << testing::PrintToString(names_of(b / "cache"));
}

TEST(SlowPretrainKill, KillsAtRandomMomentsLeaveTheSameBits) {
  const Workplace place;
  place.write("corpus.txt", corpus_of_samples(10));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(place.cloze(killed_run(place, "whole")).exit_code, 0);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  uint32_t seed = 0;
  SCOPED_TRACE(seed_of_the_test(seed));
  std::mt19937 random(seed);
  constexpr int kKills = 12;
  int kills = 0, runs = 0, resumed = 0;
  while (kills < kKills) {
    const std::string name = "killed-" + std::to_string(runs++);
    const Path output = place / name;
    const std::string command = killed_run(place, name);
    while (true) {
      Process process(command, place / "words");
      // Once the kills are done the last run may end by itself.
      if (kills == kKills) {
        ASSERT_EQ(process.wait(), 0) << read_file(place / "words");
        break;
      }
      if (process.ended_within(static_cast<int64_t>(random() % static_cast<uint32_t>(took.count() / 2 + 100)))) {
        ASSERT_EQ(process.status(), 0) << read_file(place / "words");
        break;
      }
      process.signal(SIGKILL);
      process.wait();
      ++kills;
      resumed += std::filesystem::exists(output / "resume.safetensors");
      expect_whole_files(output);
    }
    expect_same_pretraining(place / "whole", output);
  }
  std::cout << kills << " kills in " << runs << " runs, " << resumed << " of them with a state to go on from\n";
  EXPECT_GT(resumed, 3) << "many kills should fall into the training itself";
}

TEST(SlowPretrainKill, AnInterruptEndsTokenizingToo) {
  const Workplace place;
  place.write("corpus.txt", corpus_of_samples(2000));  // 50 MB: seconds
  const auto begin = std::chrono::steady_clock::now();
  Process process(small_pretraining(place, "out", "--hidden 32 --steps 100000 --threads 1"), place / "words");
  ASSERT_FALSE(process.ended_within(1000));
  process.signal(SIGINT);
  const int status = process.wait();
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_NE(read_file(place / "words").find("stopped while tokenizing"), std::string::npos)
      << read_file(place / "words");
  EXPECT_FALSE(std::filesystem::exists(place / "out")) << "no half a cache";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(SlowPretrainKill, AStoppedTimeBudgetGoesOnFromTheClocksReading) {
  const Workplace place;
  const std::string command = quick_pretraining(place, "out", "--time-budget 4s --resume");
  Process process(command, place / "words");
  ASSERT_FALSE(process.ended_within(2500));
  process.signal(SIGTERM);
  ASSERT_EQ(WEXITSTATUS(process.wait()), 130) << read_file(place / "words");
  const auto begin = std::chrono::steady_clock::now();
  const Outcome rest = place.cloze(command);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_NE(rest.err.find("resumed at step "), std::string::npos) << rest.err;
  EXPECT_NE(rest.err.find(" s of 4"), std::string::npos) << rest.err;
  EXPECT_LT(took, 4) << "about two seconds were left";
}

}  // namespace
}  // namespace cloze::test
