// Short runs of fine-tuning, and what came of them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "cloze/io/safetensors.h"
#include "cloze/train/run_state.h"
#include "cloze/train/trainer.h"

namespace cloze::test {

class TuningFolder {
 public:
  TuningFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-tuning-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
  }
  ~TuningFolder() { std::filesystem::remove_all(dir_); }
  Path operator/(const std::string& name) const { return dir_ / name; }

 private:
  Path dir_;
};

/// Asks the run to stop after some step.
class TuningListener : public TrainObserver {
 public:
  explicit TuningListener(int64_t stop_after = -1) : stop_after_(stop_after) {}
  void on_step(const StepInfo& info) override {
    losses.push_back(info.loss);
    if (info.step == stop_after_) stop = true;
  }
  void on_evaluation(const EvaluationInfo& info) override { evaluations.push_back(info); }
  void on_message(const std::string&) override {}
  std::vector<double> losses;
  std::vector<EvaluationInfo> evaluations;
  std::atomic<bool> stop{false};

 private:
  int64_t stop_after_;
};

/// 3 layers of width 32 from scratch, rows of the samples.
inline TrainingSource tuning_source(int64_t layers = 3) {
  TrainingSource s;
  s.vocab = CLOZE_SOURCE_DIR "/samples/vocab_en.txt";
  s.train = CLOZE_SOURCE_DIR "/samples/reviews_en.train.tsv";
  s.dev = CLOZE_SOURCE_DIR "/samples/reviews_en.test.tsv";
  s.scratch_config = BertConfig::preset("tiny");
  s.scratch_config.num_hidden_layers = layers;
  s.scratch_config.hidden_size = 32;
  s.scratch_config.intermediate_size = 64;
  s.seed = 7;
  return s;
}

inline std::unique_ptr<TrainingTask> tuning_task(int64_t layers = 3) {
  return find_task("text-classification").train(tuning_source(layers));
}

inline TrainOptions tuning_options(const TuningOptions& tuning) {
  TrainOptions o;
  o.steps = 8;
  o.eval_steps = 4;
  o.learning_rate = 1e-3;
  o.seed = 7;
  o.tuning = tuning;
  return o;
}

inline TrainResult tune(const Path& output, const TrainOptions& options, TuningListener& listener,
                        Start start = Start::kFresh) {
  const auto task = tuning_task();
  return train(*task, options, {{"id", 1}}, {.output = output, .start = start}, listener, listener.stop);
}

/// By name, the bytes of every tensor of a safetensors file.
inline std::map<std::string, std::string> tensors_of(const Path& file) {
  const SafetensorsFile opened(file);
  std::map<std::string, std::string> tensors;
  for (const StoredTensor& stored : opened.tensors()) {
    const Tensor tensor = opened.tensor(stored);
    tensors[std::string(stored.name)].assign(static_cast<const char*>(tensor.raw()),
                                             static_cast<size_t>(tensor.bytes()));
  }
  return tensors;
}

/// The same of a model's parameters.
inline std::map<std::string, std::string> values_of(TrainingTask& task) {
  std::map<std::string, std::string> values;
  for (const Parameter* parameter : task.parameters()) {
    const Tensor& value = parameter->var.value();
    values[parameter->name].assign(static_cast<const char*>(value.raw()), static_cast<size_t>(value.bytes()));
  }
  return values;
}

/// A run that is stopped after step 5 of 8 and resumed ends with the files of one that never stopped.
inline void expect_exact_resume(const TrainOptions& options) {
  const TuningFolder folder;
  TuningListener whole, first(5), rest;
  tune(folder / "whole", options, whole);
  EXPECT_THROW(tune(folder / "stopped", options, first), Error);
  tune(folder / "stopped", options, rest, Start::kResume);
  EXPECT_EQ(rest.losses.size(), 3u);
  for (const char* name : {"model.safetensors", "metrics.jsonl", "run.json"})
    EXPECT_TRUE(read_file(folder / "stopped" / name) == read_file(folder / "whole" / name)) << name;
}

/// The message of the Error that `work` must throw.
template <class Work>
std::string tuning_error(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace cloze::test
