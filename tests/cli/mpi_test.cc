// Training under mpirun: what one process gives, one voice, lost processes, stops.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>

#include "cloze/base/json.h"
#include "cloze/io/model_dir.h"
#include "program.h"

namespace cloze::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Path kPlugin = Path(CLOZE_BINARY).parent_path() / "libcloze_mpi.so";

class MpiTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v mpirun >/dev/null") != 0) GTEST_SKIP() << "there is no mpirun on this machine";
    if (!std::filesystem::exists(kPlugin)) GTEST_SKIP() << "built without MPI: there is no " << kPlugin;
    if (kSanitized) GTEST_SKIP() << "MPI itself does not pass the sanitizers";
  }
  /// mpirun's options for any machine and user; what stands before is the environment.
  static std::string on(int processes) {
    return fmt::format("OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n {} '{}' ",
                       processes, CLOZE_BINARY);
  }
  std::string training(const std::string& output, const std::string& more) const {
    return small_training((place_ / output).string(),
                          "--dev " + sample("reviews_en.test.tsv") + " --hidden 32 " + more);
  }
  /// A run that takes a second or two, so that it can be disturbed.
  std::string long_training(const std::string& output) const {
    return training(output, "--epochs 20 --batch-size 8 --gradient-accumulation 2 --checkpoint-steps 5");
  }
  std::vector<Json> log_of(const std::string& output) const {
    std::vector<Json> lines;
    std::istringstream text(read_file(place_ / output / "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line, "metrics.jsonl"));
    return lines;
  }
  void expect_same_run(const std::string& a, const std::string& b) const {
    for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
      EXPECT_EQ(read_file(place_ / a / name), read_file(place_ / b / name)) << name;
    EXPECT_FALSE(std::filesystem::exists(place_ / b / "resume.safetensors"));
  }
  /// Starts a long training in the background, waits for its first saved state, then runs `act` ($M: mpirun's process,
  /// $R: rank 1's) and gives mpirun's exit code.
  Outcome disturbed(const std::string& output, const std::string& act) const {
    return place_.shell(on(2) + long_training(output) + R"( & M=$!
      for i in $(seq 600); do test -e ')" +
                        (place_ / output / "resume.safetensors").string() + R"(' && break; sleep 0.05; done
      for p in $(pgrep -P $M); do grep -qz '^OMPI_COMM_WORLD_RANK=1' /proc/$p/environ && R=$p; done
      )" + act + "; wait $M");
  }

  Workplace place_;
};

TEST_F(MpiTest, TwoProcessesGiveWhatOneGives) {
  const std::string more = "--epochs 2 --batch-size 16 --gradient-accumulation 2";
  const Outcome one = place_.cloze(training("one", more + " --threads 1"));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const Outcome two = place_.shell(on(2) + training("two", more));
  ASSERT_EQ(two.exit_code, 0) << two.err;
  const std::vector<Json> a = log_of("one"), b = log_of("two");
  ASSERT_EQ(a.size(), 2u);
  ASSERT_EQ(b.size(), 2u);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i]["train_loss"].get<double>(), b[i]["train_loss"].get<double>(), 1e-5);
    EXPECT_NEAR(a[i]["dev_loss"].get<double>(), b[i]["dev_loss"].get<double>(), 1e-5);
    EXPECT_EQ(a[i]["dev_accuracy"], b[i]["dev_accuracy"]);
  }
  EXPECT_EQ(two.out, "");
  const size_t first = two.err.find("train: 400 rows");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(two.err.find("train: 400 rows", first + 1), std::string::npos) << "rank 0 alone speaks\n" << two.err;
  EXPECT_EQ(ModelFiles::open(place_ / "two").read_json("run.json")["processes"], 2);
  const Outcome other = place_.cloze(training("two", more + " --threads 1 --resume"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("processes: was 2")) << "the order of sums is another one";
}

TEST_F(MpiTest, PassesThatCannotBeSharedAreRefusedOnce) {
  const Outcome outcome = place_.shell(on(2) + training("out", "--epochs 1"));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("cloze: rank 0 of 2: 2 processes share the passes of a step"));
  EXPECT_THAT(outcome.err, HasSubstr("for steps of 32 rows give --batch-size 16 --gradient-accumulation 2"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("cloze: rank 1")));
  EXPECT_FALSE(std::filesystem::exists(place_ / "out"));
}

TEST(MpiPlugin, ALauncherWithoutThePluginIsAnErrorNotManyRuns) {
  const Workplace place;
  std::filesystem::create_directories(place / "bin");
  std::filesystem::copy_file(CLOZE_BINARY, place / "bin/cloze");
  const std::string command =
      fmt::format("'{}' {}", (place / "bin/cloze").string(), quick_training((place / "out").string(), "--threads 1"));
  for (const char* launcher : {"OMPI_COMM_WORLD_SIZE=2 ", "PMI_SIZE=4 ", "PMIX_RANK=0 "}) {
    const Outcome outcome = place.shell(launcher + command);
    EXPECT_EQ(outcome.exit_code, 1) << launcher;
    EXPECT_THAT(outcome.err, HasSubstr("started this program as one of several, but libcloze_mpi.so cannot be loaded"));
    EXPECT_FALSE(std::filesystem::exists(place / "out"));
  }
  EXPECT_EQ(place.shell("OMPI_COMM_WORLD_SIZE=1 " + command).exit_code, 0) << "one process needs no MPI";
}

class SlowMpi : public MpiTest {};

TEST_F(SlowMpi, ALostProcessEndsTheJobAndItResumesWithTheSameBits) {
  ASSERT_EQ(place_.shell(on(2) + long_training("whole")).exit_code, 0);
  for (const char* victim : {"$R", "$(pgrep -P $M | grep -vx $R)"}) {
    std::filesystem::remove_all(place_ / "killed");
    const Outcome killed = disturbed("killed", fmt::format("kill -9 {}", victim));
    EXPECT_NE(killed.exit_code, 0);
    EXPECT_TRUE(std::filesystem::exists(place_ / "killed" / "resume.safetensors"));
    const Outcome rest = place_.shell(on(2) + long_training("killed") + " --resume");
    ASSERT_EQ(rest.exit_code, 0) << rest.err;
    EXPECT_THAT(rest.err, HasSubstr("resumed at step"));
    expect_same_run("whole", "killed");
  }
}

TEST_F(SlowMpi, AStopOfOneRankOrOfMpirunStopsAllAndResumes) {
  ASSERT_EQ(place_.shell(on(2) + long_training("whole")).exit_code, 0);
  for (const char* stop : {"kill -TERM $R", "kill -USR1 $M"}) {
    std::filesystem::remove_all(place_ / "stopped");
    const Outcome stopped = disturbed("stopped", stop);
    EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("cloze: stopped after step"));
    const Outcome rest = place_.shell(on(2) + long_training("stopped") + " --resume");
    ASSERT_EQ(rest.exit_code, 0) << rest.err;
    expect_same_run("whole", "stopped");
  }
}

TEST_F(SlowMpi, AnErrorOfOneRankNamesItAndEndsTheJob) {
  // Only rank 1 finds other rows.
  const std::string rows = place_.write("rows.tsv", "label\ttext\na\tx y\nb\tz\na\tx\nb\ty\n").string();
  const std::string other = place_.write("other.tsv", "label\ttext\na\tx y\nb\tz\na\tx\nb\tx\n").string();
  const std::string link = (place_ / "link.tsv").string();
  const std::string command =
      "if test $OMPI_COMM_WORLD_RANK = 1; then ln -s " + other + " " + link + "-1; else ln -s " + rows + " " + link +
      "-0; fi; exec \"" CLOZE_BINARY "\" finetune --task text-classification --from-scratch --vocab " +
      sample("vocab_en.txt") + " --train " + link +
      "-$OMPI_COMM_WORLD_RANK --format tsv --batch-size 2 --gradient-accumulation 2 --output " +
      (place_ / "out").string();
  const Outcome outcome = place_.shell(
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 sh -c '" + command + "'");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("cloze: rank 1 of 2: rank 1 was started with other options"));
}

}  // namespace
}  // namespace cloze::test
