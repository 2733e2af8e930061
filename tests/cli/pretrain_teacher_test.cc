// `cloze pretrain --teacher` from outside: what it says and leaves, stops and resumes, and what it refuses.
#include <gmock/gmock.h>

#include "cloze/base/json.h"
#include "hostile.h"
#include "pretrain.h"
#include "process.h"

namespace cloze::test {
namespace {

using testing::HasSubstr;

/// A teacher that is wider than the students of quick_pretraining().
void make_teacher(const Workplace& place, const std::string& name = "teacher", const std::string& more = "") {
  const Outcome made = place.cloze(
      small_pretraining(place, name, "--hidden 48 --batch-size 8 --evaluation-rows 32 --threads 1 --steps 4 " + more));
  ASSERT_EQ(made.exit_code, 0) << made.err;
}

std::string taught(const Workplace& place, const std::string& output, const std::string& more) {
  return quick_pretraining(place, output, "--teacher " + (place / "teacher").string() + " " + more);
}

TEST(PretrainTeacher, IsNamedAndMeasured) {
  const Workplace place;
  make_teacher(place);
  const Outcome trained =
      place.cloze(taught(place, "out", "--teacher-weight 0.75 --temperature 3 --hidden-weight 1 --profile"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("teacher: " + (place / "teacher").string() +
                                     ": 1 layers, hidden 48; its answers are 0.75 of the masked words' loss, at "
                                     "temperature 3; hidden states count 1, relations 0"));
  EXPECT_THAT(trained.err, HasSubstr("model: 1 layers, hidden 32"));
  EXPECT_THAT(trained.err, HasSubstr("\nteacher                ")) << "its time is a phase";
  const std::string log = read_file(place / "out" / "metrics.jsonl");
  const Json line = parse_json(log.substr(0, log.find('\n')), "metrics.jsonl");
  for (const char* name : {"train_distillation_loss", "train_state_loss"}) {
    ASSERT_TRUE(line.contains(name)) << log;
    EXPECT_GT(line[name].get<double>(), 0) << name;
  }
  const Json run = parse_json(read_file(place / "out" / "run.json"), "run.json");
  EXPECT_EQ(run["teacher"], (place / "teacher").string());
  EXPECT_EQ(run["teacher_weight"], 0.75);
  EXPECT_EQ(run["temperature"], 3);
  EXPECT_EQ(run["hidden_weight"], 1);
  EXPECT_EQ(run["relation_weight"], 0);
  EXPECT_EQ(run["inputs"]["teacher"]["model_config"]["hidden_size"], 48);
  EXPECT_EQ(place.cloze("info " + (place / "out").string()).exit_code, 0);
}

TEST(PretrainTeacher, AStoppedRunGoesOnToTheSameBitsAndWithTheSameTeacherAlone) {
  const Workplace place;
  make_teacher(place);
  make_teacher(place, "another", "--seed 5");
  const auto command = [&](const std::string& output, const std::string& teacher, const std::string& more) {
    return small_pretraining(place, output,
                             "--hidden 32 --batch-size 8 --evaluation-rows 32 --threads 1 --steps 200 "
                             "--relation-weight 0.5 --checkpoint-steps 1 --teacher " +
                                 (place / teacher).string() + " " + more);
  };
  ASSERT_EQ(place.cloze(command("whole", "teacher", "")).exit_code, 0);
  Process process(command("out", "teacher", ""), place / "words");
  while (!process.ended_within(5) && !std::filesystem::exists(place / "out" / "resume.safetensors")) {
  }
  process.signal(SIGKILL);
  process.wait();
  ASSERT_TRUE(std::filesystem::exists(place / "out" / "resume.safetensors"));
  const auto refused = [&](const std::string& teacher, const std::string& more, const std::string& words) {
    const Outcome outcome = place.cloze(command("out", teacher, more + " --resume"));
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("the run was started with another configuration"));
    EXPECT_THAT(outcome.err, HasSubstr(words));
  };
  refused("another", "", "teacher: was \"" + (place / "teacher").string());
  refused("another", "", "inputs.teacher.weights: was ");
  refused("teacher", "--teacher-weight 0.25", "teacher_weight: was 0.5, is now 0.25");
  refused("teacher", "--temperature 1", "temperature: was 2.0, is now 1.0");
  // Another model under the same name.
  std::filesystem::rename(place / "teacher", place / "kept");
  std::filesystem::rename(place / "another", place / "teacher");
  refused("teacher", "", "inputs.teacher.weights: was ");
  std::filesystem::rename(place / "teacher", place / "another");
  std::filesystem::rename(place / "kept", place / "teacher");
  const Outcome rest = place.cloze(command("out", "teacher", "--resume"));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
    EXPECT_TRUE(read_file(place / "whole" / name) == read_file(place / "out" / name)) << name;
}

TEST(PretrainTeacher, MistakesAreToldBeforeAnyTextIsRead) {
  const HostilePlace place;
  std::string text;
  for (int i = 0; i < 12; ++i) text += "good x y good x\nbad z bad z y\n\n";
  place.write("text.txt", text);
  const std::string base =
      "$CLOZE pretrain --vocab $M/vocab.txt --layers 1 --hidden 8 --heads 2 --corpus ${D}text.txt --threads 1 ";
  ASSERT_EQ(place.run(base + "--steps 1 --batch-size 4 --max-length 16 --output ${D}teacher").exit_code, 0);
  place.run("sed 's/^x$/w/' $M/vocab.txt > ${D}other.txt");
  const auto refused = [&](const std::string& more, int status, const std::vector<std::string>& words) {
    const Outcome outcome = place.run(base + "--max-length 16 --steps 1 --output ${D}no " + more);
    expect_outcome(place, outcome, status, words);
    expect_one_line(outcome);
    EXPECT_FALSE(std::filesystem::exists(place / "no")) << more;
  };
  const std::string taught = "--teacher ${D}teacher ";
  refused(taught + "--teacher-weight 1.5", 2, {"--teacher-weight must be 0 to 1 and --temperature above 0, got 1.5"});
  refused(taught + "--teacher-weight -0.1", 2, {"--teacher-weight must be 0 to 1", "got -0.1"});
  refused(taught + "--teacher-weight nan", 2, {"--teacher-weight must be 0 to 1", "got nan"});
  refused(taught + "--temperature 0", 2, {"--temperature above 0, got 0.5 and 0"});
  refused(taught + "--hidden-weight -1", 2, {"--hidden-weight and --relation-weight must be in [0"});
  refused("--hidden-weight 1", 2, {"--hidden-weight and --relation-weight learn from a teacher: give --teacher"});
  refused("--relation-weight 1", 2, {"--hidden-weight and --relation-weight learn from a teacher: give --teacher"});
  refused("--teacher ${D}none", 1, {"%none"});
  refused("--teacher $M", 1, {"%m has no head for masked words: it lacks cls.predictions.", "BertForMaskedLM"});
  place.run(
      "cp -r ${D}teacher ${D}foreign; sed -i 's/^x$/w/' ${D}foreign/vocab.txt; "
      "sed -i 's/\"x\"/\"w\"/' ${D}foreign/tokenizer.json");
  refused("--teacher ${D}foreign", 1, {"the teacher %foreign has another vocabulary than the student"});
  refused("--cased " + taught, 1, {"has another vocabulary than the student"});
  place.run(
      "cp -r ${D}teacher ${D}narrow; sed -i 's/\"type_vocab_size\": 2/\"type_vocab_size\": 1/' ${D}narrow/config.json");
  refused("--teacher ${D}narrow", 1, {"the teacher %narrow knows 1 kinds of segments, the student 2"});
  // Its states alone need no head.
  const Outcome states = place.run(base +
                                   "--max-length 16 --steps 1 --batch-size 4 --teacher $M --teacher-weight 0 "
                                   "--hidden-weight 1 --profile --output ${D}states");
  expect_outcome(place, states, 0, {"its answers are not asked for; hidden states count 1", "\nteacher   "});
}

}  // namespace
}  // namespace cloze::test
