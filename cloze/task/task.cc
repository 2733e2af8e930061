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
  fail(ErrorCode::kUsage, "unknown task \"{}\"{}; there are {}", name, did_you_mean(name, names),
       fmt::join(names, ", "));
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
  fail(ErrorCode::kUsage,
       "{} does not say which task the model was trained for (architecture \"{}\"); name it with --task", where,
       config.architecture);
}

StreamCounts predict_stream(Predictor& predictor, ExampleReader& reader,
                            const std::function<void(std::span<const std::string>)>& write) {
  // Enough rows to keep all threads busy, few enough to stay small and to answer soon.
  constexpr size_t kMostRows = 64;
  constexpr size_t kMostBytes = 1 << 18;
  StreamCounts counts;
  std::vector<TextExample> rows;
  size_t bytes = 0;
  const auto answer = [&] {
    if (rows.empty()) return;
    ProfilePhase phase("forward");
    const Answers answers = predictor.predict(rows);
    phase.next("output");
    write(answers.lines);
    counts.lengths.add(answers.lengths);
    rows.clear();
    bytes = 0;
  };
  while (true) {
    if (rows.size() >= kMostRows || bytes >= kMostBytes || !reader.ready()) answer();
    TextExample example;
    bool more = false;
    try {
      more = reader.next(example);
    } catch (...) {
      answer();  // what came before the bad row is answered
      throw;
    }
    if (!more) break;
    bytes += example.text.size() + (example.text_pair ? example.text_pair->size() : 0);
    counts.replaced += example.replaced;
    rows.push_back(std::move(example));
  }
  answer();
  return counts;
}

}  // namespace cloze
