#include "cloze/compress/tries.h"

#include <gmock/gmock.h>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;
using Start = Tries::Start;

const Json kRun = {{"seed", 1}, {"steps", 3}};

/// Two ended steps on the way to 4 times, a third one begun; then stopped.
void stop_in_the_third_step(const Path& folder) {
  Tries tries(folder, kRun, Start::kFresh);
  tries.set_wanted(4);
  for (int64_t step = 1; step <= 3; ++step) {
    std::filesystem::create_directories(tries.step(step));
    write_file(tries.step(step) / "model", "of step " + std::to_string(step));
    if (step < 3) tries.end_step();
  }
  std::filesystem::create_directories(folder / "rounds-3");
}

TEST(TriesTest, AStoppedSearchGoesOnFromItsLastEndedStep) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  stop_in_the_third_step(folder);
  Tries tries(folder, kRun, Start::kResume);
  EXPECT_EQ(tries.ended(), 2);
  EXPECT_EQ(tries.wanted(), 4);
  EXPECT_EQ(read_file(tries.step(2) / "model"), "of step 2");
  EXPECT_FALSE(std::filesystem::exists(tries.step(3))) << "half a step is made anew";
  EXPECT_FALSE(std::filesystem::exists(folder / "rounds-3"));
  tries.end_step();
  EXPECT_EQ(tries.ended(), 3);
}

TEST(TriesTest, WithoutAnEndedStepNothingStays) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  {
    const Tries tries(folder, kRun, Start::kResume);  // nothing is there: it starts
    EXPECT_EQ(tries.ended(), 0);
    EXPECT_TRUE(std::filesystem::exists(folder));
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(TriesTest, AfterTheEndNothingStays) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  stop_in_the_third_step(folder);
  {
    Tries tries(folder, kRun, Start::kResume);
    tries.remove();
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(TriesTest, AnotherSearchAndAFreshStartAreRefused) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  stop_in_the_third_step(folder);
  const auto refused = [&](const Json& run, Start start) {
    return error_of([&] { const Tries tries(folder, run, start); }, ErrorCode::kUsage);
  };
  EXPECT_THAT(refused(kRun, Start::kFresh), HasSubstr("go on with --resume, or remove it"));
  EXPECT_THAT(refused({{"seed", 2}, {"steps", 3}}, Start::kResume), HasSubstr("seed: was 1, is now 2"));
  EXPECT_EQ(Tries(folder, kRun, Start::kResume).ended(), 2) << "nothing was lost by that";
}

TEST(TriesTest, TwoProcessesDoNotShareAFolder) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  const Tries tries(folder, kRun, Start::kFresh);
  EXPECT_THAT(error_of([&] { const Tries other(folder, kRun, Start::kResume); }, ErrorCode::kUsage),
              HasSubstr("another process is writing there"));
  EXPECT_TRUE(std::filesystem::exists(folder));
}

TEST(TriesTest, AFreshStartTakesOverWhatHasNoEndedStep) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  std::filesystem::create_directories(folder / "step-1");
  write_file(folder / "search.json", R"({"ended": 0, "wanted": 0.0, "run": {"seed": 9}})");
  const Tries tries(folder, kRun, Start::kFresh);
  EXPECT_EQ(tries.ended(), 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "step-1"));
  EXPECT_EQ(parse_json(read_file(folder / "search.json"), "")["run"], kRun);
}

TEST(TriesTest, AnEmptyFolderIsNoHindrance) {
  const test::TemporaryFolder dir;
  for (const Start start : {Start::kFresh, Start::kResume}) {
    std::filesystem::create_directories(dir.path() / "m.tries");
    EXPECT_EQ(Tries(dir.path() / "m.tries", kRun, start).ended(), 0);
  }
}

TEST(TriesTest, AFolderOfSomethingElseIsLeftAlone) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  std::filesystem::create_directories(folder);
  write_file(folder / "thesis.txt", "years");
  for (const Start start : {Start::kFresh, Start::kResume})
    EXPECT_THAT(error_of([&] { const Tries tries(folder, kRun, start); }, ErrorCode::kUsage),
                HasSubstr("is in the way"));
  EXPECT_EQ(read_file(folder / "thesis.txt"), "years");
}

TEST(TriesTest, BrokenStatesAreRefused) {
  const test::TemporaryFolder dir;
  const Path folder = dir.path() / "m.tries";
  stop_in_the_third_step(folder);
  const auto refused = [&](const std::string& state, ErrorCode code) {
    write_file(folder / "search.json", state);
    const std::string words = error_of([&] { const Tries tries(folder, kRun, Start::kResume); }, code);
    EXPECT_TRUE(std::filesystem::exists(folder / "step-2" / "model")) << state;
    return words;
  };
  const std::string run = R"("run": {"seed": 1, "steps": 3}})";
  EXPECT_THAT(refused("{", ErrorCode::kFormat), HasSubstr("search.json"));
  EXPECT_THAT(refused("{\"ended\": 2}", ErrorCode::kFormat), HasSubstr("\"run\" is missing"));
  EXPECT_THAT(refused(R"({"ended": "two", "wanted": 4, )" + run, ErrorCode::kFormat), HasSubstr("ended"));
  EXPECT_THAT(refused(R"({"ended": -1, "wanted": 4, )" + run, ErrorCode::kFormat), HasSubstr("cannot be"));
  EXPECT_THAT(refused(R"({"ended": 99999999999, "wanted": 4, )" + run, ErrorCode::kFormat), HasSubstr("cannot be"));
  EXPECT_THAT(refused(R"({"ended": 2, "wanted": 0.5, )" + run, ErrorCode::kFormat), HasSubstr("cannot be"));
  EXPECT_THAT(refused(R"({"ended": 4, "wanted": 4, )" + run, ErrorCode::kNotFound), HasSubstr("step-4 is not there"));
}

}  // namespace
}  // namespace cloze
