// A corpus of two languages whose words tell each other, a vocabulary for it, and a listener for runs on it.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/task/pretraining.h"
#include "cloze/train/trainer.h"

namespace cloze::test {

/// A folder that goes away, with a vocabulary and two corpora.
class TinyCorpus {
 public:
  TinyCorpus() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-corpus-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
    const std::vector<std::string> animals = {"cat", "dog", "cow", "fox"}, verbs = {"sleeps", "barks", "eats", "hides"},
                                   places = {"bed", "yard", "field", "wood"};
    const std::vector<std::string> animals_zh = {"猫", "狗", "牛", "鱼"}, verbs_zh = {"睡", "叫", "吃", "游"},
                                   places_zh = {"床", "院", "田", "水"};
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\nin\nits\n.\n。\n在\n里\n的\n";
    for (const auto* words : {&animals, &verbs, &places, &animals_zh, &verbs_zh, &places_zh})
      for (const std::string& word : *words) vocabulary += word + "\n";
    write_file(dir_ / "vocab.txt", vocabulary);
    std::string english, chinese;
    for (size_t d = 0; d < 48; ++d) {
      const size_t a = d % 4;
      for (size_t s = 0; s < 3 + d / 4 % 3; ++s) {
        english += (s % 2 == 0 ? "The " : "A ") + animals[a] + " " + verbs[a] + " in its " + places[a] + ".\n";
        chinese += animals_zh[a] + "在" + places_zh[a] + "里" + verbs_zh[a] + "。\n";
      }
      english += "\n";
      chinese += "\n";
    }
    write_file(dir_ / "english.txt", english);
    write_file(dir_ / "chinese.txt", chinese);
  }
  ~TinyCorpus() { std::filesystem::remove_all(dir_); }
  TinyCorpus(const TinyCorpus&) = delete;
  TinyCorpus& operator=(const TinyCorpus&) = delete;
  Path operator/(const std::string& name) const { return dir_ / name; }

  /// Both languages, from scratch, 2 layers of width 32, without dropout.
  PretrainingOptions options(const std::string& objective) const {
    PretrainingOptions o;
    o.vocab = (dir_ / "vocab.txt").string();
    o.scratch_config = BertConfig::preset("tiny");
    o.scratch_config.hidden_size = 32;
    o.scratch_config.intermediate_size = 64;
    o.scratch_config.num_attention_heads = 2;
    o.scratch_config.max_position_embeddings = 64;
    o.corpora = {dir_ / "english.txt", dir_ / "chinese.txt"};
    o.cache_dir = dir_ / "cache";
    o.rows.max_length = 32;
    o.rows.objective = parse_objective(objective);
    o.rows.heldout_share = 0.1;
    o.rows.seed = 7;
    o.evaluation_rows = 64;
    o.dropout = 0;
    return o;
  }

 private:
  Path dir_;
};

/// Hears a run; asks it to stop after some step.
class RunListener : public TrainObserver {
 public:
  explicit RunListener(int64_t stop_after = -1) : stop_after_(stop_after) {}
  void on_step(const StepInfo& info) override {
    steps.push_back(info);
    if (info.step == stop_after_) stop = true;
  }
  void on_evaluation(const EvaluationInfo& info) override { evaluations.push_back(info); }
  void on_message(const std::string&) override {}
  std::vector<StepInfo> steps;
  std::vector<EvaluationInfo> evaluations;
  std::atomic<bool> stop{false};

 private:
  int64_t stop_after_;
};

inline TrainOptions pretraining_steps(int64_t steps) {
  TrainOptions o;
  o.steps = steps;
  o.batch_size = 8;
  o.learning_rate = 5e-3;
  o.eval_steps = 1000;  // at the end alone, so that the last weights are the kept ones
  o.seed = 7;
  return o;
}

inline TrainResult pretrain(const PretrainingOptions& task_options, const TrainOptions& o, const Path& output,
                            RunListener& listener, Start start = Start::kFresh) {
  const auto task = make_pretraining(task_options);
  return train(*task, o, {{"id", 1}}, {.output = output, .start = start}, listener, listener.stop);
}

}  // namespace cloze::test
