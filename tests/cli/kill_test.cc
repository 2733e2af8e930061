// Kills: training that is killed again and again ends with the bits of training that never was.
#include <iostream>

#include "process.h"

namespace cloze::test {
namespace {

std::string long_training(const Path& output) {
  return small_training(output.string(), "--dev " + sample("reviews_en.test.tsv") +
                                             " --hidden 64 --epochs 12 --eval-steps 20 --threads 2");
}

void expect_same_run(const Path& a, const Path& b) {
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json", "config.json", "vocab.txt",
                           "tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(read_file(a / name), read_file(b / name)) << name;
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(b)) left.push_back(entry.path().filename().string());
  EXPECT_EQ(left.size(), 7u) << "nothing else is left behind: " << testing::PrintToString(left);
}

TEST(SlowKill, TwentyKillsAtRandomMomentsLeaveTheSameBits) {
  const Workplace place;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(place.cloze(long_training(place / "whole")).exit_code, 0);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  uint32_t seed = 0;
  SCOPED_TRACE(seed_of_the_test(seed));
  std::mt19937 random(seed);
  constexpr int kKills = 20;
  int kills = 0, runs = 0, resumed = 0;
  while (kills < kKills) {
    const Path output = place / ("killed-" + std::to_string(runs++));
    const std::string command = long_training(output) + " --checkpoint-steps 3 --resume";
    while (true) {
      Process process(command, place / "words");
      // Once the kills are done the last run may end by itself.
      if (kills == kKills) {
        ASSERT_EQ(process.wait(), 0) << read_file(place / "words");
        break;
      }
      if (process.ended_within(static_cast<int64_t>(random() % static_cast<uint32_t>(took.count() / 3 + 100)))) {
        ASSERT_EQ(process.status(), 0) << read_file(place / "words");
        break;
      }
      process.signal(SIGKILL);
      process.wait();
      ++kills;
      resumed += std::filesystem::exists(output / "resume.safetensors");
      expect_whole_files(output);
    }
    expect_same_run(place / "whole", output);
  }
  std::cout << kills << " kills in " << runs << " runs, " << resumed << " of them with a state to go on from\n";
  EXPECT_GT(resumed, 3) << "many kills should fall into the training itself";
}

TEST(SlowKill, InterruptsEndWith130AndGoOn) {
  const Workplace place;
  ASSERT_EQ(place.cloze(long_training(place / "whole")).exit_code, 0);
  const std::string command = long_training(place / "stopped") + " --resume";
  for (int stops = 0; stops < 5; ++stops) {
    Process process(command, place / "words");
    // Long enough for the handlers to stand: before that an interrupt ends the program as any other.
    if (process.ended_within(300)) break;
    process.signal(stops % 2 == 0 ? SIGINT : SIGTERM);
    const int status = process.wait();
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_TRUE(WEXITSTATUS(status) == 130 || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
    expect_whole_files(place / "stopped");
  }
  ASSERT_EQ(place.cloze(command).exit_code, 0);
  expect_same_run(place / "whole", place / "stopped");
}

}  // namespace
}  // namespace cloze::test
