// Another program's exit code, time, memory and words.
#include "cloze/base/child_process.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "cloze/base/error.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

struct ChildProcess : ::testing::Test {
  test::TemporaryFolder folder;  // tests run side by side: a file of its own for each
  Path log = folder.path() / "child.log";
  ChildResult shell(const std::string& command) { return run_child({"/bin/sh", "-c", command}, log); }
};

TEST_F(ChildProcess, BothOutputsGoToTheLogAndNothingIsRead) {
  EXPECT_EQ(shell("echo one; echo two >&2; cat; exit 3").exit_code, 3);
  EXPECT_EQ(read_file(log), "one\ntwo\n");
  EXPECT_EQ(shell("echo new").exit_code, 0);
  EXPECT_EQ(read_file(log), "new\n");
}

TEST_F(ChildProcess, ArgumentsArriveAsTheyAre) {
  run_child({"/bin/echo", "a  b", "$HOME", ""}, log);
  EXPECT_EQ(read_file(log), "a  b $HOME \n");
}

TEST_F(ChildProcess, TimeMemoryAndSignalsAreTold) {
  const ChildResult slow = shell("sleep 0.2; kill -9 $$");
  EXPECT_EQ(slow.exit_code, 128 + 9);
  EXPECT_GE(slow.seconds, 0.2);
  EXPECT_GT(slow.peak_bytes, 100'000);
  const std::string own(100'000'000, 'x');  // the parent's memory does not count
  EXPECT_LT(shell("sleep 0.1; : " + std::string(own, 0, 1)).peak_bytes, 50'000'000);
}

TEST_F(ChildProcess, WhatCannotBeRunIsAnError) {
  EXPECT_THROW(run_child({"/no/such/program"}, log), Error);
  EXPECT_THROW(run_child({"/bin/echo"}, "/no/such/folder/log"), Error);
  EXPECT_THAT(own_program().filename().string(), ::testing::StartsWith("test_base"));
}

TEST_F(ChildProcess, AStopIsPassedOnOnce) {
  int asked = 0;
  const ChildResult child = run_child({"/bin/sleep", "60"}, log, [&] { return ++asked > 2; });
  EXPECT_EQ(child.exit_code, 128 + SIGTERM);
  EXPECT_LT(child.seconds, 30);
  EXPECT_GE(asked, 3);
}

TEST_F(ChildProcess, TheChildKnowsItsParentAndKeepsTheEnvironment) {
  ::setenv("CLOZE_TEST_WORD", "kept", 1);
  run_child({"/bin/sh", "-c", "echo $CLOZE_PARENT $CLOZE_TEST_WORD"}, log);
  ::unsetenv("CLOZE_TEST_WORD");
  EXPECT_EQ(read_file(log), fmt::format("{} kept\n", ::getpid()));
}

}  // namespace
}  // namespace cloze
