// Output that cannot be written: folders that are taken, read-only or full, and stdout that is closed, full or cut off.
#include <csignal>
#include <set>

#include "cloze/io/safetensors.h"
#include "hostile.h"
#include "small_disk.h"

namespace cloze::test {
namespace {

const std::string kTrainGood = "$CLOZE finetune $SCRATCH --train ${D}good.tsv ";
const std::string kGoodRows = "label\ttext\na\tx y\nb\tz\n";
constexpr const char* kFinalNames[] = {"config.json",       "vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                       "model.safetensors", "run.json",  "metrics.jsonl",  "resume.safetensors"};

/// Whatever stands in `dir` under a final name is whole, and nothing else stands there.
void expect_absent_or_whole(const Path& dir) {
  if (!std::filesystem::exists(dir)) return;
  const std::set<std::string> known(std::begin(kFinalNames), std::end(kFinalNames));
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(known.contains(name)) << name;
    const std::string content = read_file(entry.path());
    if (name.ends_with(".json")) {
      EXPECT_NO_THROW(parse_json(content, name));
    } else if (name.ends_with(".safetensors")) {
      EXPECT_NO_THROW(SafetensorsFile{entry.path()}) << name;
    } else if (name == "vocab.txt") {
      EXPECT_EQ(content, TinyModel::get().vocab);
    }
    EXPECT_TRUE(content.empty() || content.ends_with('\n') || name.ends_with(".safetensors")) << name;
  }
}

class HostileOutput : public testing::Test {
 protected:
  void SetUp() override { place.write("good.tsv", kGoodRows); }
  HostilePlace place;
};

TEST_F(HostileOutput, AFileInItsPlace) {
  const Outcome file = place.run(kTrainGood + "--output ${D}good.tsv");
  expect_outcome(place, file, 2, {"--output %good.tsv: a file of that name stands there"});
  const Outcome under = place.run(kTrainGood + "--output ${D}good.tsv/x");
  expect_outcome(place, under, 1, {"cannot create the folder %good.tsv/x: Not a directory"});
  EXPECT_EQ(read_file(place / "good.tsv"), kGoodRows);
}

TEST_F(HostileOutput, NamesThatCannotBe) {
  expect_outcome(place, place.run(kTrainGood + "--output ''"), 2,
                 {"--output is needed: the folder for the trained model"});
  expect_outcome(place, place.run(kTrainGood + "--output /proc/cloze"), 1, {"cannot create the folder /proc/cloze"});
  expect_outcome(place, place.run(kTrainGood + "--output /dev/null"), 2, {"a file of that name stands there"});
}

TEST_F(HostileOutput, AModelIsLeftAlone) {
  const Outcome outcome = place.run(kTrainGood + "--output $M");
  expect_outcome(place, outcome, 2, {"--output %m already holds model.safetensors", "--resume", "--overwrite"});
  EXPECT_EQ(read_file(place / "m" / "model.safetensors"), TinyModel::get().weights);
  EXPECT_EQ(read_file(place / "m" / "config.json"), TinyModel::get().config);
  EXPECT_FALSE(std::filesystem::exists(place / "m" / "run.json"));
}

TEST_F(HostileOutput, FilesOfOthersStay) {
  place.write("out/notes.txt", "mine");
  place.write("out/figure.png", "mine too");
  const Outcome outcome = place.run(kTrainGood + "--output ${D}out");
  expect_outcome(place, outcome, 0, {});
  EXPECT_EQ(read_file(place / "out" / "notes.txt"), "mine");
  EXPECT_EQ(read_file(place / "out" / "figure.png"), "mine too");
  EXPECT_TRUE(std::filesystem::exists(place / "out" / "model.safetensors"));
}

TEST_F(HostileOutput, ALastFileThatIsAFolder) {
  make_folder(place / "out" / "vocab.txt");
  const Outcome outcome = place.run(kTrainGood + "--output ${D}out");
  expect_outcome(place, outcome, 1, {"cannot write %out/vocab.txt: a folder of that name stands there"});
}

TEST_F(HostileOutput, ReadOnly) {
  SmallDisk disk(place / "disk", 256);
  if (!disk.why.empty()) GTEST_SKIP() << "no mount permitted here: " << disk.why;
  TinyModel::get().write(place / "disk" / "m");
  ASSERT_TRUE(disk.make_read_only());
  expect_outcome(place, place.run(kTrainGood + "--output ${D}disk/new"), 1,
                 {"cannot write to %disk: Read-only file system"});
  expect_outcome(place, place.run(kTrainGood + "--output ${D}disk"), 1, {"cannot write to %disk: Read-only"});
  expect_outcome(place, place.run(kTrainGood + "--overwrite --output ${D}disk/m"), 1,
                 {"cannot write to %disk/m: Read-only"});
  EXPECT_EQ(read_file(place / "disk" / "m" / "model.safetensors"), TinyModel::get().weights);
}

TEST_F(HostileOutput, DiskFullAtEachFile) {
  std::set<std::string> failed;
  for (const int64_t kilobytes : {4, 8, 12, 16, 20, 24, 32, 40, 44, 48}) {
    SmallDisk disk(place / "disk", kilobytes);
    if (!disk.why.empty()) GTEST_SKIP() << "no mount permitted here: " << disk.why;
    const Outcome outcome = place.run(kTrainGood + "--output ${D}disk/out");
    if (outcome.exit_code == 0) continue;
    expect_outcome(place, outcome, 1, {"cannot write %disk/out/", "No space left on device"});
    expect_absent_or_whole(place / "disk" / "out");
    const size_t at = outcome.err.find("disk/out/") + 9;
    failed.insert(outcome.err.substr(at, outcome.err.find(':', at) - at));
  }
  EXPECT_TRUE(failed.contains("vocab.txt") && failed.contains("config.json") && failed.contains("model.safetensors"))
      << testing::PrintToString(failed);
}

TEST_F(HostileOutput, DiskFullKeepsTheModelThatStandsThere) {
  SmallDisk disk(place / "disk", 80);
  if (!disk.why.empty()) GTEST_SKIP() << "no mount permitted here: " << disk.why;
  ASSERT_EQ(place.run(kTrainGood + "--output ${D}disk/out").exit_code, 0);
  const std::string weights = read_file(place / "disk" / "out" / "model.safetensors");
  // The state for a resume is three times the model, and does not fit beside it.
  const Outcome outcome = place.run(
      "$CLOZE finetune $SCRATCH --train ${D}good.tsv --epochs 2 --overwrite --output ${D}disk/out || "
      "$CLOZE finetune --task text-classification --from-scratch --vocab $M/vocab.txt --layers 1 --hidden 8 "
      "--heads 2 --threads 1 --epochs 2 --train ${D}good.tsv --overwrite --output ${D}disk/out");
  expect_outcome(place, outcome, 1, {"cannot write %disk/out/resume.safetensors: No space left on device"});
  expect_absent_or_whole(place / "disk" / "out");
  EXPECT_EQ(read_file(place / "disk" / "out" / "model.safetensors").size(), weights.size());
}

TEST_F(HostileOutput, FilesThatMayNotGrow) {
  std::set<std::string> failed;
  for (const int blocks : {1, 2, 4, 16, 40}) {  // of 512 bytes; nobody ignores SIGXFSZ but the program itself
    std::filesystem::remove_all(place / "out");
    const Outcome outcome = place.run(fmt::format("ulimit -f {}; ", blocks) + kTrainGood + "--output ${D}out");
    if (outcome.exit_code == 0) continue;
    expect_outcome(place, outcome, 1, {"cannot write %out/", "File too large"});
    expect_absent_or_whole(place / "out");
    const size_t at = outcome.err.find("/out/") + 5;
    failed.insert(outcome.err.substr(at, outcome.err.find(':', at) - at));
  }
  EXPECT_TRUE(failed.contains("run.json") && failed.contains("model.safetensors")) << testing::PrintToString(failed);
}

TEST_F(HostileOutput, StdoutFullOrClosed) {
  place.write("rows.tsv", "label\ttext\npos\tgood\n");
  for (const char* command : {"predict --model $M --input ${D}rows.tsv", "tokenize --model $M --input ${D}rows.tsv",
                              "tokenize --model $M --text good --explain", "evaluate --model $M --data ${D}rows.tsv",
                              "info $M", "bench --model $M --length 4 --runs 1"}) {
    expect_outcome(place, place.run(std::string("$CLOZE ") + command + " >/dev/full"), 1,
                   {"cannot write to standard output: No space left on device"});
    expect_outcome(place, place.run(std::string("$CLOZE ") + command + " >&-"), 1,
                   {"cannot write to standard output: Bad file descriptor"});
  }
  for (const char* command : {"--help", "--version", "predict --help"})
    expect_outcome(place, place.run(std::string("$CLOZE ") + command + " >/dev/full"), 1,
                   {"cannot write to standard output"});
}

/// A closed stream's number must not become that of a file, or words would be written into it.
TEST_F(HostileOutput, StderrClosed) {
  const Outcome outcome = place.run(kTrainGood + "--output ${D}out <&- >&- 2>&-");
  EXPECT_EQ(outcome.exit_code, 0);
  expect_absent_or_whole(place / "out");
  EXPECT_EQ(place.run("$CLOZE predict --model ${D}out", "x\n").exit_code, 0);
}

class CutOff : public HostileOutput {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += "good bad\n";
    place.write("many.txt", text);
  }
};

TEST_F(CutOff, ByHead) {
  for (const std::string command : {"predict", "tokenize"}) {
    const std::string all = "$CLOZE " + command + " --model $M --input ${D}many.txt";
    const Outcome quiet = place.run("{ " + all + "; echo $? >${D}code; } | head -1");
    EXPECT_EQ(std::ranges::count(quiet.out, '\n'), 1);
    EXPECT_EQ(quiet.err, "");
    EXPECT_EQ(read_file(place / "code"), "141\n") << "SIGPIPE, as other programs in a pipe";
    const Outcome ignored = place.run("trap '' PIPE; { " + all + "; echo $? >${D}code; } | head -1");
    EXPECT_THAT(ignored.err, testing::HasSubstr("cannot write to standard output: Broken pipe"));
    EXPECT_EQ(read_file(place / "code"), "1\n");
  }
}

TEST_F(CutOff, BySignals) {
  std::signal(SIGINT, SIG_DFL);  // a test that runs in the background of a shell has it ignored
  for (const auto& [name, code] : {std::pair("INT", 130), std::pair("TERM", 143), std::pair("KILL", 137)}) {
    Outcome outcome;
    for (const double seconds : {0.15, 1.0, 8.0}) {  // a busy machine may need longer until answers flow
      const std::string timed = fmt::format("timeout --preserve-status -s {} {} $CLOZE ", name, seconds);
      outcome = place.run("{ yes 'good bad' | { " + timed +
                          "predict --threads 1 --model $M; echo $? >${D}code; } | cat; } 2>/dev/null");
      if (std::ranges::count(outcome.out, '\n') > 10) break;
    }
    EXPECT_EQ(read_file(place / "code"), fmt::format("{}\n", code)) << name;
    EXPECT_GT(std::ranges::count(outcome.out, '\n'), 10);
    EXPECT_TRUE(outcome.out.ends_with("}\n")) << name << ": half a line";
  }
}

}  // namespace
}  // namespace cloze::test
