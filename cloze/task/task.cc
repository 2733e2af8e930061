#include "cloze/task/task.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"

namespace cloze {

double metric_value(const MetricList& metrics, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, value] : metrics) {
    if (known == name) return value;
    names.push_back(known);
  }
  fail(ErrorCode::kUsage, "no metric \"{}\"; there are {}", name, fmt::join(names, ", "));
}

const TaskEntry& find_task(const std::string& name) {
  std::vector<std::string> names;
  for (const TaskEntry& task : tasks()) {
    if (name == task.name) return task;
    names.emplace_back(task.name);
  }
  fail(ErrorCode::kUsage, "unknown task \"{}\"{}; known: {}", name, did_you_mean(name, names), fmt::join(names, ", "));
}

const TaskEntry& find_training_task(const std::string& name) {
  std::vector<std::string> names;
  for (const TaskEntry& task : tasks()) {
    if (task.train != nullptr) names.emplace_back(task.name);
    if (name != task.name) continue;
    CLOZE_CHECK(task.train != nullptr, ErrorCode::kUsage,
                "the task \"{}\" is not trained on labelled rows, but on raw text: cloze pretrain --corpus FILE", name);
    return task;
  }
  fail(ErrorCode::kUsage, "unknown task \"{}\"{}; known: {}", name, did_you_mean(name, names), fmt::join(names, ", "));
}

ClassifiedRows Predictor::classify(std::span<const TextExample>, const std::string&) {
  fail(ErrorCode::kUnsupported, "this task gives no class probabilities");
}

const std::vector<std::string>& Predictor::class_labels() const {
  static const std::vector<std::string> none;
  return none;
}

TextExample Predictor::sample_row() const {
  TextExample row;
  row.text = "hello";
  return row;
}

const TaskEntry& task_of(const ModelFiles& files, const std::string& name) {
  if (!name.empty()) return find_task(name);
  const std::string where = files.path(ModelFiles::kConfig).string();
  const BertConfig config = BertConfig::from_json(files.read_json(), where);
  const std::string noted = json_string_or(config.cloze, "task", "", where);
  for (const TaskEntry& task : tasks())
    if (noted == task.name) return task;
  CLOZE_CHECK(noted.empty(), ErrorCode::kUnsupported,
              "{}: \"cloze\" names the task \"{}\", which this version does not know; name another with --task", where,
              noted);
  for (const TaskEntry& task : tasks())
    if (config.architecture == task.architecture) return task;
  std::vector<std::string> shared;
  for (const TaskEntry& task : tasks())
    if (task.shared_architecture != nullptr && config.architecture == task.shared_architecture)
      shared.push_back(fmt::format("--task {}", task.name));
  CLOZE_CHECK(
      shared.empty(), ErrorCode::kUsage,
      "{}: a {} has heads for several tasks; say which one: {}; for another task fine-tune it first: cloze finetune "
      "--task text-classification",
      where, config.architecture, fmt::join(shared, " or "));
  fail(ErrorCode::kUsage,
       "{} does not say which task the model was trained for (architecture \"{}\"); name it with --task", where,
       config.architecture);
}

int64_t visit_rows(ExampleReader& reader, const std::function<void(const TextExample&)>& check,
                   const std::function<void(std::span<const TextExample>)>& visit) {
  // Enough rows to keep all threads busy, few enough to stay small and to answer soon.
  constexpr size_t kMostRows = 64;
  constexpr size_t kMostBytes = 1 << 18;
  int64_t replaced = 0;
  std::vector<TextExample> rows;
  size_t bytes = 0;
  const auto visit_those = [&] {
    if (!rows.empty()) visit(rows);
    rows.clear();
    bytes = 0;
  };
  while (true) {
    if (rows.size() >= kMostRows || bytes >= kMostBytes || !reader.ready()) visit_those();
    TextExample example;
    bool more = false;
    try {
      more = reader.next(example);
      if (more && check) check(example);
    } catch (...) {
      visit_those();  // what came before the bad row is answered
      throw;
    }
    if (!more) break;
    bytes += example.text.size() + (example.text_pair ? example.text_pair->size() : 0);
    replaced += example.replaced;
    rows.push_back(std::move(example));
  }
  visit_those();
  return replaced;
}

StreamCounts predict_stream(Predictor& predictor, ExampleReader& reader,
                            const std::function<void(std::span<const std::string>)>& write) {
  StreamCounts counts;
  const auto answer = [&](std::span<const TextExample> rows) {
    ProfilePhase phase("forward");
    const Answers answers = predictor.predict(rows);
    phase.next("output");
    write(answers.lines);
    counts.lengths.add(answers.lengths);
  };
  const auto check = [&](const TextExample& row) { predictor.check(row, reader.table().name()); };
  counts.replaced = visit_rows(reader, check, answer);
  return counts;
}

}  // namespace cloze
