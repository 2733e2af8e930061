// Training on several processes, which threads play here: what comes out, who writes, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cloze/base/thread_team.h"
#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"
#include "cloze/train/trainer.h"
#include "tests/train/thread_job.h"

namespace cloze {
namespace {

using test::ThreadJob;
using ::testing::HasSubstr;

class ParallelFolder {
 public:
  ParallelFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-parallel-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
  }
  ~ParallelFolder() { std::filesystem::remove_all(dir_); }
  Path operator/(const char* name) const { return dir_ / name; }

 private:
  Path dir_;
};

class ParallelListener : public TrainObserver {
 public:
  void on_step(const StepInfo& info) override {
    losses.push_back(info.loss);
    if (info.step == stop_after) stop = true;
  }
  void on_evaluation(const EvaluationInfo&) override { ++evaluations; }
  void on_message(const std::string&) override {}
  std::vector<double> losses;
  int evaluations = 0;
  int64_t stop_after = -1;
  std::atomic<bool> stop{false};
};

TrainOptions parallel_options() {
  TrainOptions o;
  o.epochs = 2;
  o.learning_rate = 1e-3;
  o.seed = 7;
  o.batch_size = 8;
  o.gradient_accumulation = 6;  // steps of 48 rows of 400: the last of an epoch has 2 passes
  return o;
}

std::unique_ptr<TrainingTask> parallel_task(uint64_t seed = 7) {
  TrainingSource s;
  s.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
  s.train = CLOZE_SOURCE_DIR "/samples/reviews_en.train.tsv";
  s.dev = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
  s.scratch_config = BertConfig::preset("tiny");
  s.scratch_config.hidden_size = 32;
  s.scratch_config.intermediate_size = 64;
  s.seed = seed;
  return find_task("text-classification").train(s);
}

TrainResult parallel_run(const Path& output, Communicator& communicator, ParallelListener& listener,
                         const TrainOptions& o = parallel_options(), Start start = Start::kFresh) {
  const auto own = parallel_task();
  return train(*own, o, {{"id", 1}}, {.output = output, .start = start, .communicator = &communicator}, listener,
               listener.stop);
}

std::string job_error(int size, const std::function<void(Communicator&)>& work) {
  try {
    ThreadJob::run(size, work);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Each process works alone, as it would with one processor: they share this program's thread team.
class DataParallel : public testing::Test {
 protected:
  DataParallel() { set_thread_count(1); }
  ~DataParallel() override { set_thread_count(0); }
};

TEST_F(DataParallel, LossesAndMetricsAreThoseOfOneProcess) {
  const ParallelFolder folder;
  ParallelListener one;
  const TrainResult expected = parallel_run(folder / "one", alone(), one);
  for (const int size : {2, 3}) {
    const Path output = folder / std::to_string(size).c_str();
    ThreadJob::run(size, [&](Communicator& communicator) {
      ParallelListener own;
      const TrainResult result = parallel_run(output, communicator, own);
      ASSERT_EQ(own.losses.size(), one.losses.size());
      for (size_t i = 0; i < one.losses.size(); ++i) EXPECT_NEAR(own.losses[i], one.losses[i], 1e-5) << i;
      EXPECT_EQ(result.steps, expected.steps);
      EXPECT_EQ(result.best_step, expected.best_step) << "all know what rank 0 found";
      EXPECT_EQ(own.evaluations, communicator.rank() == 0 ? 2 : 0);
    });
    const Json a = ModelFiles::open(folder / "one").read_json(kRunFile)["finished"]["best"];
    const Json b = ModelFiles::open(output).read_json(kRunFile)["finished"]["best"];
    for (const auto& [name, value] : a.items()) EXPECT_NEAR(value.get<double>(), b[name].get<double>(), 1e-5) << name;
  }
}

TEST_F(DataParallel, AStopAskedOfOneStopsAllAndGoesOnWithTheSameBits) {
  const ParallelFolder folder;
  ThreadJob::run(2, [&](Communicator& communicator) {
    ParallelListener whole;
    parallel_run(folder / "whole", communicator, whole);
  });
  const std::string stopped = job_error(2, [&](Communicator& communicator) {
    ParallelListener own;
    own.stop_after = communicator.rank() == 1 ? 4 : -1;
    try {
      parallel_run(folder / "stopped", communicator, own);
      FAIL() << "did not stop";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInterrupted);
      EXPECT_THAT(error.what(), HasSubstr("stopped after step 5 of 18")) << "agreed on at the end of the next step";
    }
  });
  EXPECT_EQ(stopped, "");
  ThreadJob::run(2, [&](Communicator& communicator) {
    ParallelListener rest;
    parallel_run(folder / "stopped", communicator, rest, parallel_options(), Start::kResume);
    EXPECT_EQ(rest.losses.size(), 13u);
  });
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
    EXPECT_EQ(read_file(folder / "whole" / name), read_file(folder / "stopped" / name)) << name;
  ThreadJob::run(2, [&](Communicator& communicator) {
    ParallelListener none;
    EXPECT_TRUE(parallel_run(folder / "stopped", communicator, none, parallel_options(), Start::kResume).was_complete);
  });
}

TEST_F(DataParallel, PassesThatCannotBeSharedAreRefusedWithAdvice) {
  const ParallelFolder folder;
  TrainOptions o = parallel_options();
  o.batch_size = 32;
  o.gradient_accumulation = 1;
  const auto refused = [&](int size) {
    return job_error(size, [&](Communicator& communicator) {
      ParallelListener own;
      parallel_run(folder / "out", communicator, own, o);
    });
  };
  EXPECT_THAT(refused(2), HasSubstr("for steps of 32 rows give --batch-size 16 --gradient-accumulation 2"));
  EXPECT_THAT(refused(3), HasSubstr("give --batch-size 11 --gradient-accumulation 3 (steps of 33 rows)"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_F(DataParallel, ProcessesThatAreNotAlikeAreRefused) {
  const auto runs = [](const Json& second) {
    return job_error(2, [&](Communicator& communicator) {
      const Json first = {{"seed", 1}, {"threads", 1}};
      check_same_run(communicator, communicator.rank() == 0 ? first : second);
    });
  };
  EXPECT_EQ(runs({{"seed", 1}, {"threads", 4}}), "") << "machines may have more or fewer processors";
  EXPECT_THAT(runs({{"seed", 2}, {"threads", 1}}), HasSubstr("rank 1 was started with other options"));
  const auto weights = [](double second) {
    return job_error(2, [&](Communicator& communicator) {
      Parameter parameter{"p", Shape({3}), Init::kZeros, Decay::kNo, Var()};
      parameter.set(Tensor::full({3}, DType::kF32, communicator.rank() == 0 ? 1 : second));
      check_same_weights(communicator, {&parameter}, "now");
    });
  };
  EXPECT_EQ(weights(1), "");
  EXPECT_THAT(weights(1.5), HasSubstr("the weights of rank 1 are not those of rank 0"));
}

TEST_F(DataParallel, ThreadsAreSharedOut) {
  int together = 0;
  std::mutex mutex;
  ThreadJob::run(2, [&](Communicator& communicator) {
    const int own = fair_threads(communicator);
    EXPECT_GE(own, 1);
    const std::lock_guard lock(mutex);
    together += own;
  });
  EXPECT_LE(together, std::max(2, fair_threads(alone())));
}

}  // namespace
}  // namespace cloze
