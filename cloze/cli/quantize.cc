#include "cloze/compress/quantize.h"

#include <algorithm>

#include "cloze/base/atomic_folder.h"
#include "cloze/base/json.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/training_run.h"
#include "cloze/compress/calibrate.h"
#include "cloze/compress/choose_int8.h"
#include "cloze/compress/measure_models.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"
#include "cloze/train/communicator.h"

namespace cloze::cli {
namespace {

struct QuantizeArguments {
  std::string model, output, weights = "int8", rest, dev, task, calibrate;
  std::vector<std::string> skip;
  int64_t calibration_rows = 512;
  bool scan = false;
  double max_drop = -1;
  TableFlags table;
  ThreadsOption threads;
};

/// Of what is not in 8 bits.
std::optional<DType> float_type(const QuantizeArguments& o) {
  return o.weights == "int8" ? parse_float_type(o.rest, "--rest") : parse_float_type(o.weights, "--weights");
}

void check_quantize(const QuantizeArguments& o) {
  CLOZE_CHECK(
      o.weights == "int8" || (o.skip.empty() && o.rest.empty() && !o.scan && o.max_drop < 0 && o.calibrate.empty()),
      ErrorCode::kUsage, "--skip, --rest, --scan, --max-drop and --calibrate are for --weights int8");
  CLOZE_CHECK(o.calibration_rows >= 1, ErrorCode::kUsage, "--calibration-rows must be at least 1, got {}",
              o.calibration_rows);
  CLOZE_CHECK(!o.dev.empty() || (!o.scan && o.max_drop < 0), ErrorCode::kUsage,
              "--scan and --max-drop want labelled rows: give --dev");
  CLOZE_CHECK(o.max_drop < 0 || o.max_drop <= 100, ErrorCode::kUsage, "--max-drop is in points of 100, got {}",
              o.max_drop);
  CLOZE_CHECK(!std::filesystem::exists(o.output), ErrorCode::kUsage,
              "--output {} is there already; give a new folder, or remove it", o.output);
  refuse_inside(o.model, o.output);
}

/// The ranges of --calibrate; nothing without it.
std::map<std::string, InputRange> calibrated(const QuantizeArguments& o) {
  if (o.calibrate.empty()) return {};
  ExampleOptions table = o.table.resolve();
  table.columns.label_need = Need::kIgnored;
  const Examples examples = read_all(o.calibrate, table, o.calibration_rows);
  CLOZE_CHECK(!examples.rows.empty(), ErrorCode::kValue, "--calibrate {}: there are no rows in it", o.calibrate);
  Progress progress;
  const Calibration found = measure_inputs(o.model, examples.rows, [&](int64_t done, int64_t all) {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
    progress.update(done, all, "texts read to see what inputs span");
  });
  progress.clear();
  constexpr size_t kFew = 32;
  say(fmt::format("inputs measured on {} row(s), {} tokens{}", examples.rows.size(), grouped(found.tokens),
                  examples.rows.size() < kFew ? "; they are few: what later lies beyond their range is clamped" : ""));
  return found.ranges;
}

void say_scan(const std::vector<Sensitivity>& scanned, const std::string& metric) {
  std::string text = fmt::format("{:<20} {:>10} {:>12}\n", "alone in 8 bits", "loss", metric);
  for (const Sensitivity& s : scanned)
    text += fmt::format("{:<20} {:>+10.4f} {:>+12.4f}\n", s.part, s.loss_rise, s.gain / 100);
  say(text);
}

/// The parts that become 8 bits. `scratch` holds models while they are judged.
std::vector<std::string> choose_parts(const QuantizeArguments& o, const Judgement& whole,
                                      std::vector<std::string> parts, const std::map<std::string, InputRange>& inputs,
                                      const Path& scratch) {
  if (!o.scan && o.max_drop < 0) return parts;
  const JudgeParts judge_parts = [&](const std::vector<std::string>& int8) {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
    std::filesystem::remove_all(scratch);
    write_quantized(o.model, scratch, {int8, float_type(o), inputs});
    return judge(scratch, o.task, o.dev, o.table.resolve());
  };
  Progress progress;
  const int64_t count = std::ssize(parts);
  const auto report = [&](int64_t done) { progress.update(done, count, "parts judged in 8 bits, each alone"); };
  const std::vector<Sensitivity> scanned = scan_parts(whole, parts, judge_parts, report);
  progress.clear();
  say_scan(scanned, whole.headline().first);
  if (o.max_drop < 0) return parts;
  const std::vector<std::string> kept = parts_within(whole, scanned, o.max_drop, judge_parts);
  if (kept.size() < parts.size())
    say(fmt::format("within {} points: {} of {} parts in 8 bits, floats stay {}", o.max_drop, kept.size(), parts.size(),
                    [&] {
                      std::string names;
                      for (const Sensitivity& s : scanned)
                        if (std::ranges::find(kept, s.part) == kept.end())
                          names += (names.empty() ? "" : ", ") + s.part;
                      return names;
                    }()));
  return kept;
}

void run_quantize(const QuantizeArguments& o) {
  check_quantize(o);
  o.threads.apply();
  catch_interrupts(alone());
  const BertConfig config = load_config(ModelFiles::open(o.model));
  refuse_frozen_classifier(config, o.model);
  std::vector<std::string> parts;
  if (o.weights == "int8") {
    parts = int8_parts(config);
    check_parts(o.skip, parts);
    std::erase_if(parts, [&](const std::string& part) { return std::ranges::find(o.skip, part) != o.skip.end(); });
  }
  const std::optional<DType> floats = float_type(o);
  AtomicFolder folder(o.output);
  const Path scratch = folder.path() / "scratch";
  Judgement before, after;
  if (!o.dev.empty()) before = judge(o.model, o.task, o.dev, o.table.resolve());
  const std::map<std::string, InputRange> inputs = calibrated(o);
  parts = choose_parts(o, before, std::move(parts), inputs, scratch);
  std::filesystem::remove_all(scratch);
  write_quantized(o.model, folder.path(), {parts, floats, inputs});
  if (!o.dev.empty()) after = judge(folder.path(), o.task, o.dev, o.table.resolve());
  constexpr int64_t kRows = 8, kLength = 128, kRuns = 7;
  const std::vector<Path> models = {o.model, folder.path()};
  const std::vector<Workload> workloads = {{{16}, 1}, {std::vector<int64_t>(kRows, kLength), kRows}};
  const ProcessorWait wait;
  const auto seconds = time_models(models, workloads, kRuns);
  const double old_size = static_cast<double>(model_size(o.model).bytes) / 1e6,
               new_size = static_cast<double>(model_size(folder.path()).bytes) / 1e6;
  say(fmt::format(
      "weights {:.1f} -> {:.1f} MB ({:.0f} %); 1 x 16 tokens {:.2f} -> {:.2f} ms, {} x {} tokens {:.1f} -> {:.1f} "
      "ms ({:.2f} times as fast)",
      old_size, new_size, 100 * new_size / old_size, 1e3 * seconds[0][0], 1e3 * seconds[1][0], kRows, kLength,
      1e3 * seconds[0][1], 1e3 * seconds[1][1], seconds[0][1] / seconds[1][1]));
  say_if_busy(wait);
  JsonLine line;
  line.begin_object().member("model", o.output).member("megabytes", new_size).member("megabytes_before", old_size);
  line.member("seconds", seconds[1][1]).member("seconds_before", seconds[0][1]);
  line.key("int8").begin_array();
  for (const std::string& part : parts) line.value(part);
  line.end_array();
  if (!o.dev.empty()) {
    const auto& [metric, was] = before.headline();
    say(fmt::format("{} {:.4f} -> {:.4f} on the {} rows of {}", metric, was, after.headline().second, after.rows,
                    o.dev));
    line.member(metric, after.headline().second).member(metric + "_before", was);
  }
  folder.commit();
  say(fmt::format("done: the model is in {}", o.output));
  write_out(line.end_object().take() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_quantize(CLI::App& app) {
  auto options = std::make_shared<QuantizeArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--output", options->output, "new model directory")->required();
  app.add_option("--weights", options->weights,
                 "int8: products of the encoder and word embeddings in 8 bits, by row, which then compute so; "
                 "f16, bf16: all weights half as wide in the file alone; f32: back to floats")
      ->capture_default_str();
  app.add_option("--rest", options->rest, "with int8: f32, f16 or bf16 for what stays floats; default: as stored");
  app.add_option("--skip", options->skip,
                 "with int8: parts that stay floats: embeddings, layer.0.attention, layer.0.ffn, …")
      ->delimiter(',');
  app.add_option("--calibrate", options->calibrate,
                 "with int8: texts that fix the scales of what the products read; default: each token has its own");
  app.add_option("--calibration-rows", options->calibration_rows, "how many of its rows are read, the first")
      ->capture_default_str();
  app.add_option("--dev", options->dev, "labelled rows to judge both models on");
  app.add_option("--task", options->task, "task; default: what the model was trained for");
  app.add_flag("--scan", options->scan, "judge each part alone in 8 bits, and print what it costs");
  app.add_option("--max-drop", options->max_drop,
                 "leave the most fragile parts floats until so many points of 100 are lost on --dev at most");
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run_quantize(*options); };
}

}  // namespace cloze::cli
