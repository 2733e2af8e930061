// The ledger on a clock that the test turns: whose time it was, and that it all adds up.
#include "cloze/base/profile.h"

#include <gtest/gtest.h>

#include <thread>

namespace cloze::test {
namespace {

double seconds_now = 0;
double test_clock() {
  return seconds_now;
}

const ProfileReport::Phase& phase_of(const ProfileReport& report, const std::string& name) {
  for (const auto& phase : report.phases)
    if (phase.name == name) return phase;
  throw std::runtime_error("no phase " + name);
}

/// 1 s of other, 2 s of load, 4 s of forward within it, 8 s of load, 16 s of forward alone, 32 s of backward.
ProfileReport nested() {
  seconds_now = 100;
  Profile profile(test_clock);
  const ProfileScope scope(profile);
  seconds_now += 1;
  {
    const ProfilePhase load("load");
    seconds_now += 2;
    {
      const ProfilePhase forward("forward");
      seconds_now += 4;
      profile.add(profile.row({"linear", 768, 3072}), {.calls = 1, .seconds = 3, .bytes = 10, .flops = 100});
    }
    seconds_now += 8;
  }
  ProfilePhase phase("forward");
  seconds_now += 16;
  profile.add(profile.row({"linear", 768, 3072}), {.calls = 1, .seconds = 4, .bytes = 20, .flops = 200});
  phase.next("backward");
  profile.add(profile.row({"adamw"}), {.calls = 1, .seconds = 9, .bytes = 5, .flops = 0});
  seconds_now += 32;
  return profile.report();
}

TEST(Profile, TheInnerPhaseTakesItsTimeFromTheOuter) {
  const ProfileReport report = nested();
  EXPECT_EQ(report.seconds, 63);
  ASSERT_EQ(report.phases.size(), 4u);
  EXPECT_EQ(report.phases[0].name, "backward") << "the largest share first; it is still open";
  EXPECT_EQ(report.phases[0].seconds, 32);
  EXPECT_EQ(phase_of(report, "forward").seconds, 20);
  EXPECT_EQ(phase_of(report, "forward").times, 2);
  EXPECT_EQ(phase_of(report, "load").seconds, 10);
  EXPECT_EQ(phase_of(report, "load").times, 1);
  EXPECT_EQ(phase_of(report, "other").seconds, 1);
  EXPECT_EQ(report.phases_entered(), 4);
  double sum = 0;
  for (const auto& phase : report.phases) sum += phase.seconds;
  EXPECT_EQ(sum, report.seconds);
}

TEST(Profile, WorkIsBookedInItsRowAndInThePhaseOfTheMoment) {
  const ProfileReport report = nested();
  ASSERT_EQ(report.operations.size(), 2u);
  EXPECT_EQ(report.operations[0].name, "adamw");
  EXPECT_EQ(report.operations[1].name, "linear 768x3072");
  EXPECT_EQ(report.operations[1].work.calls, 2);
  EXPECT_EQ(report.operations[1].work.seconds, 7);
  EXPECT_EQ(report.operations[1].work.bytes, 30);
  EXPECT_EQ(report.operations[1].work.flops, 300);
  EXPECT_EQ(phase_of(report, "forward").kernels.seconds, 7);
  EXPECT_EQ(phase_of(report, "backward").kernels.seconds, 9);
  EXPECT_EQ(phase_of(report, "load").kernels.calls, 0);
  EXPECT_EQ(report.kernels().seconds, 16);
}

TEST(Profile, SaysSharesRatesAndWhatItTookItself) {
  const std::string text = profile_text(nested(), {.call = 0.021, .phase = 0});
  const auto has = [&](const std::string& words) { EXPECT_NE(text.find(words), std::string::npos) << words; };
  has("profile of 63.0000 s\n");
  has("phase                seconds   share     times in kernels    outside         MB     GB/s   GFLOP/s\n"
      "backward             32.0000   50.8%         1     9.0000    23.0000        0.0     0.00         -\n");
  has("operation            seconds   share     calls  us a call         MB     GB/s   GFLOP/s\n"
      "outside of kernels   47.0000   74.6%         -          -          -        -         -\n"
      "adamw                 9.0000   14.3%         1  9000000.0        0.0     0.00         -\n");
  has("21000.000 us a call x 3 calls, 0.000 us a phase x 4 times: 0.0630 s (0.10%)");
}

TEST(Profile, WithoutAScopeNothingIsRecorded) {
  seconds_now = 0;
  Profile profile(test_clock);
  {
    ProfilePhase phase("forward");
    seconds_now += 1;
    phase.next("backward");
  }
  {
    const ProfileScope scope(profile);
    std::thread([] { const ProfilePhase elsewhere("forward"); }).join();
  }
  const ProfilePhase after("forward");
  const ProfileReport report = profile.report();
  ASSERT_EQ(report.phases.size(), 1u);
  EXPECT_EQ(report.phases[0].name, "other");
  EXPECT_EQ(report.phases[0].seconds, 1);
}

}  // namespace
}  // namespace cloze::test
