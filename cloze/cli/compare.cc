#include <algorithm>
#include <cmath>

#include "cloze/base/child_process.h"
#include "cloze/base/json.h"
#include "cloze/base/temporary_folder.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/compress/judge.h"
#include "cloze/compress/measure_models.h"
#include "cloze/io/model_dir.h"
#include "cloze/metrics/interval.h"

namespace cloze::cli {
namespace {

struct CompareArguments {
  std::vector<std::string> models;
  std::string data, task;
  int64_t runs = 5;
  TableFlags table;
  ThreadsOption threads;
};

struct MeasuredStart {
  double seconds = 0;
  int64_t peak_bytes = 0;
};

/// Loading and one answer, in a process of its own: the median of three.
MeasuredStart measure_start(const CompareArguments& o, const std::string& model, const Path& log) {
  std::vector<std::string> arguments = {own_program().string(), "bench", "--mode", "start", "--model", model};
  if (!o.task.empty()) arguments.insert(arguments.end(), {"--task", o.task});
  if (o.threads.threads != 0) arguments.insert(arguments.end(), {"--threads", std::to_string(o.threads.threads)});
  std::vector<MeasuredStart> starts;
  constexpr int kStarts = 3;
  for (int i = 0; i < kStarts; ++i) {
    const ChildResult child = run_child(arguments, log);
    const std::string said = read_file(log);
    CLOZE_CHECK(child.exit_code != 130, ErrorCode::kInterrupted, "interrupted while {} was started", model);
    CLOZE_CHECK(child.exit_code == 0, ErrorCode::kValue, "{} does not start: {}", model, last_words(log));
    const size_t line = said.find("{\"engine\"");  // words on stderr stand in the same log
    CLOZE_CHECK(line != std::string::npos, ErrorCode::kInternal, "no measure of {}: {}", model, said);
    const Json measured = parse_json(said.substr(line, said.find('\n', line) - line), log.string());
    starts.push_back({child.seconds, json_int(measured, "peak_bytes", log.string())});
  }
  std::ranges::sort(starts, {}, &MeasuredStart::seconds);
  return starts[kStarts / 2];
}

/// One model's line, as it grows.
struct Row {
  std::string model;
  ModelSize size{0, 0};
  MeasuredStart start;
  double short_seconds = 0, long_seconds = 0, rows_per_second = 0;
  Judgement judged;
};

/// "-0.34 points (-1.20 to 0.52), p 0.58"
std::string difference_text(const PairedCounts& counts) {
  const Interval interval = difference_interval(counts);
  return fmt::format("{:+.2f} points ({:+.2f} to {:+.2f}), p = {:.2g}", 100 * counts.difference(), 100 * interval.low,
                     100 * interval.high, mcnemar_exact(counts));
}

bool comparable(const Row& first, const Row& row) {
  return !first.judged.right.empty() && first.judged.right.size() == row.judged.right.size();
}

std::string table_text(const std::vector<Row>& rows, bool judged) {
  size_t width = 5;
  for (const Row& row : rows) width = std::max(width, row.model.size());
  std::string metric = judged ? rows[0].judged.headline().first : "";
  std::string text = fmt::format("{:<{}} {:>11} {:>7} {:>9} {:>8} {:>9} {:>9} {:>9}  {}\n", "model", width,
                                 "parameters", "MB", "memory MB", "start ms", "1x16 ms", "1x128 ms", "rows/s", metric);
  for (const Row& row : rows) {
    text += fmt::format("{:<{}} {:>11} {:>7.1f} {:>9.1f} {:>8.0f} {:>9.2f} {:>9.2f} {:>9.0f}", row.model, width,
                        grouped(row.size.parameters), static_cast<double>(row.size.bytes) / 1e6,
                        static_cast<double>(row.start.peak_bytes) / 1e6, 1e3 * row.start.seconds,
                        1e3 * row.short_seconds, 1e3 * row.long_seconds, row.rows_per_second);
    if (judged) {
      text += fmt::format("  {:.4f}", row.judged.headline().second);
      if (!row.judged.right.empty()) {
        const Interval interval = wilson_interval(row.judged.right_count(), row.judged.rows);
        text += fmt::format(" ({:.4f} to {:.4f})", interval.low, interval.high);
      }
    }
    text += '\n';
  }
  return text;
}

std::string json_line(const Row& row, const Row& first, bool judged) {
  JsonLine line;
  line.begin_object().member("model", row.model).member("parameters", row.size.parameters);
  line.member("file_bytes", row.size.bytes).member("peak_bytes", row.start.peak_bytes);
  line.member("start_seconds", row.start.seconds).member("seconds_1x16", row.short_seconds);
  line.member("seconds_1x128", row.long_seconds).member("rows_per_s", row.rows_per_second);
  if (judged) {
    line.member("rows", row.judged.rows);
    for (const auto& [name, value] : row.judged.metrics) line.member(name, value);
    if (&row != &first && comparable(first, row)) {
      const PairedCounts counts = pair_up(first.judged, row.judged);
      line.key("against_first").begin_object().member("difference", counts.difference());
      line.member("first_only", counts.first_only).member("this_only", counts.second_only);
      line.member("p_value", mcnemar_exact(counts)).end_object();
    }
  }
  return line.end_object().take() + "\n";
}

void run_compare(const CompareArguments& o) {
  CLOZE_CHECK(o.runs >= 1 && o.runs <= 1000, ErrorCode::kUsage, "--runs must be 1 to 1000, got {}", o.runs);
  o.threads.apply();
  for (const std::string& model : o.models)
    ModelFiles::open(model);  // a mistake in a name must not wait for the others
  const ProcessorWait wait;
  const TemporaryFolder scratch;
  std::vector<Row> rows;
  std::vector<Path> folders;
  const bool judged = !o.data.empty();
  Progress progress;
  const int64_t steps = std::ssize(o.models) * (judged ? 2 : 1) + 1;
  int64_t done = 0;
  for (const std::string& model : o.models) {
    progress.update(done++, steps, "starting " + model);
    Row row;
    row.model = model;
    row.size = model_size(model);
    row.start = measure_start(o, model, scratch.path() / "start.log");
    rows.push_back(std::move(row));
    folders.emplace_back(model);
  }
  constexpr int64_t kRows = 32, kLength = 64;
  const std::vector<Workload> workloads = {{{16}, 1}, {{128}, 1}, {std::vector<int64_t>(kRows, kLength), kRows}};
  progress.update(done++, steps, "passes of all models in turns");
  const auto seconds = time_models(folders, workloads, o.runs);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].short_seconds = seconds[i][0];
    rows[i].long_seconds = seconds[i][1];
    rows[i].rows_per_second = static_cast<double>(kRows) / seconds[i][2];
  }
  if (judged)
    for (Row& row : rows) {
      progress.update(done++, steps, "reading the rows with " + row.model);
      constexpr int64_t kPasses = 3;
      row.judged = judge(row.model, o.task, o.data, o.table.resolve(), kPasses);
      row.rows_per_second = static_cast<double>(row.judged.rows) / row.judged.seconds;
    }
  progress.clear();
  say(table_text(rows, judged));
  for (size_t i = 1; judged && i < rows.size(); ++i) {
    if (comparable(rows[0], rows[i]))
      say(fmt::format("{} against {}: {} ({} right, {} wrong, McNemar's exact test)", rows[i].model, rows[0].model,
                      difference_text(pair_up(rows[0].judged, rows[i].judged)),
                      fmt::format("{} alone", pair_up(rows[0].judged, rows[i].judged).second_only),
                      pair_up(rows[0].judged, rows[i].judged).first_only));
    else
      say(fmt::format("{} against {}: no test, for the task does not choose one class a row", rows[i].model,
                      rows[0].model));
  }
  say(
      fmt::format("rows/s: {}. Memory and start: of a process that loads the model and answers one row. All measured "
                  "now, models in turns; latencies are the least of at least {} passes.",
                  judged ? fmt::format("tokenizing and answering the rows of {}", o.data)
                         : fmt::format("passes of {} rows of {} tokens; give --data for real ones", kRows, kLength),
                  o.runs));
  say_if_busy(wait);
  for (const Row& row : rows) write_out(json_line(row, rows[0], judged));
  flush_out();
}

}  // namespace

std::function<void()> setup_compare(CLI::App& app) {
  auto options = std::make_shared<CompareArguments>();
  app.add_option("models", options->models, "model directories; the first is what the others are held against")
      ->required();
  app.add_option("--data", options->data, "labelled rows to judge all models on");
  app.add_option("--task", options->task, "task; default: what the models were trained for");
  app.add_option("--runs", options->runs, "timed passes, at least; short ones are run more often")
      ->capture_default_str();
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run_compare(*options); };
}

}  // namespace cloze::cli
