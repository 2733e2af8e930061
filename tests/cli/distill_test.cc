// distill through the program.
#include "cloze/base/json.h"
#include "hostile.h"

namespace cloze::test {
namespace {

const std::string kMakeTeacher =
    "printf 'label\\ttext\\nup\\tgood x\\ndown\\tbad x\\nup\\tgood\\ndown\\tbad y\\n' > ${D}t.tsv; "
    "printf 'good z\\nbad z\\nx y z\\n' > ${D}u.txt; "
    "$CLOZE finetune --task text-classification --from-scratch --vocab $M/vocab.txt --layers 4 --hidden 16 --heads 2 "
    "--train ${D}t.tsv --epochs 60 --learning-rate 3e-3 --dropout 0 --threads 1 --output ${D}teacher 2> ${D}log || "
    "exit "
    "9; ";
const std::string kDistill =
    "$CLOZE distill --teacher ${D}teacher --train ${D}t.tsv --learning-rate 3e-3 --threads 1 --dropout 0 ";

double accuracy(const HostilePlace& place, const std::string& model) {
  const Outcome found = place.run("$CLOZE evaluate --model ${D}" + model + " --data ${D}t.tsv");
  expect_outcome(place, found, 0, {});
  return Json::parse(found.out)["accuracy"];
}

TEST(DistillCommand, AStudentOfHalfTheLayersLearnsAnswersAndStates) {
  const HostilePlace place;
  const Outcome made =
      place.run(kMakeTeacher + kDistill + "--epochs 40 --hidden-weight 1 --relation-weight 1 --output ${D}s");
  expect_outcome(place, made, 0, {"model: 2 layers, hidden 16"});
  EXPECT_EQ(accuracy(place, "s"), 1);
  const Json run = Json::parse(read_file(place / "s" / "run.json"));
  EXPECT_EQ(run["keep_layers"], 2);
  EXPECT_EQ(run["task"], "text-classification");
  const Json info = Json::parse(place.run("$CLOZE info ${D}s --json").out);
  EXPECT_EQ(info["layers"], 2);
  for (const auto& [name, _] : info["cloze"].items()) EXPECT_NE(name, "distill");
}

TEST(DistillCommand, AStudentOfItsOwnShapeLearnsFromTextsWithoutLabels) {
  const HostilePlace place;
  const Outcome made = place.run(kMakeTeacher + kDistill +
                                 "--from-scratch --layers 1 --hidden 12 --heads 2 --epochs 150 --hidden-weight 0.5 "
                                 "--relation-weight 0.5 --unlabelled ${D}u.txt "
                                 "--output ${D}s");
  expect_outcome(place, made, 0, {"unlabelled: 3 rows of %u.txt", "model: 1 layers, hidden 12"});
  EXPECT_EQ(accuracy(place, "s"), 1);
  // The widths differ, so a projection is trained; it does not stay.
  EXPECT_EQ(read_file(place / "s" / "model.safetensors").find("distill"), std::string::npos);
  // A student wider than its teacher is one too.
  expect_outcome(place,
                 place.run(kDistill + "--from-scratch --layers 1 --hidden 32 --heads 2 --hidden-weight 1 --epochs 1 "
                                      "--output ${D}wide"),
                 0, {"hidden 32"});
}

TEST(DistillCommand, EachMemberOfAnEnsembleShowsItsStates) {
  const HostilePlace place;
  const std::string learn = " --train ${D}t.tsv --learning-rate 3e-3 --threads 1 --dropout 0 --epochs 10 ";
  const auto student = [&](const std::string& teacher, const std::string& name, const std::string& shape) {
    return "$CLOZE distill --teacher ${D}" + teacher + learn + shape + " --output ${D}" + name;
  };
  expect_outcome(place,
                 place.run(kMakeTeacher +
                           "$CLOZE ensemble --models ${D}teacher ${D}teacher --output ${D}twins && "
                           "$CLOZE finetune --task text-classification --from-scratch --vocab $M/vocab.txt --layers 2 "
                           "--hidden 24 --heads 2 --train ${D}t.tsv --epochs 60 --learning-rate 3e-3 --threads 1 "
                           "--output ${D}other && $CLOZE ensemble --models ${D}teacher ${D}other --output ${D}two"),
                 0, {});
  // Twice the same teacher is that teacher.
  expect_outcome(
      place,
      place.run(student("teacher", "a", "--hidden-weight 1") + " && " + student("twins", "b", "--hidden-weight 1")), 0,
      {});
  EXPECT_EQ(read_file(place / "a" / "model.safetensors"), read_file(place / "b" / "model.safetensors"));
  // Of two widths each has a projection of its own; another second teacher makes another student.
  const std::string states = "--hidden-weight 1 --relation-weight 1 ",
                    narrow = states + "--from-scratch --layers 2 --hidden 16 --heads 2";
  expect_outcome(place,
                 place.run(student("two", "c", states) + " && " + student("twins", "d", narrow) + " && " +
                           student("two", "e", narrow)),
                 0, {});
  EXPECT_NE(read_file(place / "a" / "model.safetensors"), read_file(place / "c" / "model.safetensors"));
  EXPECT_NE(read_file(place / "d" / "model.safetensors"), read_file(place / "e" / "model.safetensors"));
  EXPECT_EQ(read_file(place / "e" / "model.safetensors").find("distill"), std::string::npos);
}

TEST(DistillCommand, TheTeachersAnswersAreWhatUnlabelledTextsTeach) {
  const HostilePlace place;
  // Labels say the opposite of the teacher, and weigh nothing.
  const Outcome made =
      place.run(kMakeTeacher +
                "sed 's/^up/x/; s/^down/up/; s/^x/down/' ${D}t.tsv > ${D}w.tsv; cut -f2 ${D}t.tsv | tail -4 "
                "> ${D}u.txt; $CLOZE distill --teacher ${D}teacher --train ${D}w.tsv --unlabelled "
                "${D}u.txt --teacher-weight 1 --epochs 60 --learning-rate 3e-3 --dropout 0 --threads 1 "
                "--output ${D}s");
  expect_outcome(place, made, 0, {});
  EXPECT_EQ(accuracy(place, "s"), 1);
}

TEST(DistillCommand, MistakesAreTold) {
  const HostilePlace place;
  place.run(kMakeTeacher);
  const auto refused = [&](const std::string& command, int status, const char* words) {
    expect_outcome(place, place.run(command + " --output ${D}no"), status, {words});
    EXPECT_FALSE(std::filesystem::exists(place / "no")) << command;
  };
  refused("$CLOZE distill --train ${D}t.tsv", 2, "--teacher is required");
  refused(kDistill + "--keep-layers 9", 1, "9 of the 4 layers of %teacher cannot be kept");
  refused(kDistill + "--hidden-weight -1", 2, "--hidden-weight and --relation-weight must be in [0");
  refused(kDistill + "--unlabelled ${D}none", 1, "%none");
  // $M takes 32 tokens a row, the student 512.
  place.run(
      "printf 'label\\ttext\\nneg\\tbad\\npos\\t' > ${D}l.tsv; for i in 1 2 3 4 5; do printf 'good x y z x y z x y ' "
      ">> ${D}l.tsv; done; echo >> ${D}l.tsv");
  refused(
      "$CLOZE distill --teacher $M --train ${D}l.tsv --from-scratch --layers 1 --hidden 8 --heads 1 --hidden-weight 1",
      2, "takes 32 tokens, and the longest row has 47: give --max-length 32");
  refused("$CLOZE finetune --task text-classification --model $M --train ${D}t.tsv --unlabelled ${D}u.txt", 2,
          "learn from a teacher: give --teacher");
  refused(kDistill + "--model $M --relation-weight 1 --keep-layers 1 --vocab x", 2, "--vocab, --cased");
  place.run("mkdir ${D}v; cp $M/* ${D}v; sed -i 's/^x$/w/' ${D}v/vocab.txt");
  refused(kDistill + "--model ${D}v --hidden-weight 1", 1, "has another vocabulary than the student");
}

}  // namespace
}  // namespace cloze::test
