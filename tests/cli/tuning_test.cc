// Fine-tuning a part of a model, from outside.
#include <gmock/gmock.h>

#include "cloze/base/json.h"
#include "program.h"

namespace cloze::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string tuned(const Path& output, const std::string& more) {
  return small_training(output.string(), "--hidden 32 --steps 4 --dev " + sample("reviews_en.test.tsv") + " " + more);
}

TEST(Tuning, APartIsToldAndTrained) {
  const Workplace place;
  const Outcome run = place.cloze(tuned(place / "head", "--tune head"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("\ntraining 1,122 of "));
  EXPECT_EQ(parse_json(read_file(place / "head" / "run.json"), "run.json")["tune"], "head");
  EXPECT_EQ(place.cloze("predict --model " + (place / "head").string(), "fine\n").exit_code, 0);
  const Outcome full = place.cloze(tuned(place / "full", "--dry-run"));
  EXPECT_THAT(full.err, Not(HasSubstr("\ntraining ")));
}

TEST(Tuning, MistakesAreTold) {
  const Workplace place;
  const auto refused = [&](const std::string& options, const std::string& words) {
    const Outcome outcome = place.cloze(tuned(place / "model", options));
    EXPECT_EQ(outcome.exit_code, 2) << options;
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(place / "model" / "model.safetensors"));
  };
  refused("--tune top=2", "--tune top=2: the model has 1 layers; give 1 to 1");
  refused("--tune bitfti", "--tune: unknown \"bitfti\", did you mean bitfit?");
}

TEST(Tuning, BenchTakesAPartToo) {
  const Workplace place;
  ASSERT_EQ(place.cloze(tuned(place / "model", "")).exit_code, 0);
  const std::string bench = "bench --length 8 --runs 1 --tune top=1 --model " + (place / "model").string();
  EXPECT_EQ(place.cloze(bench + " --mode train").exit_code, 0);
  const Outcome infer = place.cloze(bench);
  EXPECT_EQ(infer.exit_code, 2);
  EXPECT_THAT(infer.err, HasSubstr("--tune is for --mode train, got --mode infer"));
}

}  // namespace
}  // namespace cloze::test
