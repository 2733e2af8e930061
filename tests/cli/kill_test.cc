// Kills: training that is killed again and again ends with the bits of training that never was.
#include <gmock/gmock.h>

#include <fstream>
#include <iostream>
#include <iterator>

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

/// Whether a process runs whose arguments name `path`.
bool is_named_by_a_process(const Path& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string arguments{std::istreambuf_iterator<char>(file), {}};
    if (arguments.find(path.string()) != std::string::npos) return true;
  }
  return false;
}

// What is pruned depends on the clock, so the bits are not those of a run that never was killed.
TEST(SlowKill, AKilledCompressionGoesOnFromItsLastStep) {
  const Workplace place;
  const std::string rows = sample("reviews_en.train.tsv"), model = (place / "tuned").string();
  const std::string train =
      "finetune --task text-classification --from-scratch --layers 4 --heads 2 --hidden 64 --epochs 1 --vocab " +
      sample("vocab_en.txt") + " --train " + rows + " --output " + model;
  ASSERT_EQ(place.cloze(train).exit_code, 0);
  const std::string command = "compress --model " + model + " --output " + (place / "small").string() + " --data " +
                              rows + " --dev " + sample("reviews_en.test.tsv") +
                              " --speedup 4 --max-drop 100 --steps 4 --rounds 1 --rows 32 --batch 16 --length 64"
                              " --max-length 32 --no-int8";
  const Path tries = place / "small.tries", state = tries / "search.json";
  Process process(command, place / "words");
  const auto ended = [&] {
    return std::filesystem::exists(state) ? Json::parse(read_file(state))["ended"].get<int64_t>() : 0;
  };
  while (ended() < 1) ASSERT_FALSE(process.ended_within(10)) << read_file(place / "words");
  process.signal(SIGKILL);
  process.wait();
  EXPECT_FALSE(std::filesystem::exists(place / "small"));
  expect_whole_files(tries / "step-1");

  const Outcome anew = place.cloze(command), other = place.cloze(command + " --resume --seed 7");
  EXPECT_EQ(anew.exit_code, 2);
  EXPECT_THAT(anew.err, testing::HasSubstr("go on with --resume"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, testing::HasSubstr("seed: was 42, is now 7"));
  {  // An interrupt keeps what there is.
    Process stopped(command + " --resume", place / "stopped");
    stopped.ended_within(300);
    stopped.signal(SIGTERM);
    const int status = stopped.wait();
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    EXPECT_THAT(read_file(place / "stopped"), testing::HasSubstr("the same command with --resume goes on"));
  }
  const Outcome resumed = place.cloze(command + " --resume --threads 1");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, testing::HasSubstr("[1/4]"));
  EXPECT_THAT(resumed.err, testing::HasSubstr("is there already"));
  EXPECT_FALSE(std::filesystem::exists(tries));
  expect_whole_files(place / "small");
  EXPECT_EQ(place.cloze("evaluate --model " + (place / "small").string() + " --data " + rows).exit_code, 0);
}

TEST(SlowKill, WhatIsTrainedForAKilledProgramEndsWithIt) {
  const Workplace place;
  const std::string rows = sample("reviews_en.train.tsv"), model = (place / "tuned").string();
  ASSERT_EQ(place.cloze(quick_training(model)).exit_code, 0);
  Process process("prune --keep heads=0.5,ffn=0.5 --rounds 1 --rows 8 --recover 100000 --data " + rows + " --model " +
                      model + " --output " + (place / "small").string(),
                  place / "words");
  const Path training = place / "small.tmp-";
  while (!is_named_by_a_process(training)) ASSERT_FALSE(process.ended_within(10)) << read_file(place / "words");
  ASSERT_FALSE(process.ended_within(1000)) << "it trains by now: " << read_file(place / "words");
  process.signal(SIGKILL);
  process.wait();
  for (int i = 0; i < 1000 && is_named_by_a_process(training); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(is_named_by_a_process(training));
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
