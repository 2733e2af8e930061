#include <chrono>

#include "cloze/base/json.h"
#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/train/measure.h"
#include "cloze/train/options.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

struct BenchArguments {
  std::string model, mode = "infer", lengths, input, task;
  int64_t batch = 8, length = 128, runs = 5;
  PrecisionFlag precision;
  bool gradient_checkpointing = false, lean = false;
  TuningOptions tuning;
  ThreadsOption threads;
  ProfileFlag profile;
};

void print(const JsonLine& line) {
  write_out(line.text() + "\n");
  flush_out();
}

void run_model(const BenchArguments& options, MeasureMode mode) {
  const Precision precision =
      mode == MeasureMode::kTrain ? parse_training_precision(options.precision.precision) : options.precision.resolve();
  MeasureOptions measured{.model = options.model,
                          .mode = mode,
                          .lengths = {},
                          .batch = options.batch,
                          .runs = options.runs,
                          .precision = precision,
                          .activations = Activations::kKept,
                          .tuning = options.tuning};
  if (options.gradient_checkpointing || options.lean) measured.activations = Activations::kRecomputed;
  if (options.lean) measured.moments = MomentType::kBF16;
  constexpr int64_t kMostRows = 1 << 20;
  CLOZE_CHECK(options.batch > 0 && options.batch <= kMostRows && options.length > 0, ErrorCode::kUsage,
              "--batch must be 1 to {} and --length at least 1, got {} and {}", kMostRows, options.batch,
              options.length);
  if (options.lengths.empty())
    measured.lengths.assign(static_cast<size_t>(options.batch), options.length);
  else
    measured.lengths = read_lengths(options.lengths);
  const ProcessorWait wait;
  const Measurement m = measure(measured);
  say_if_busy(wait);
  JsonLine line;
  print(line.begin_object()
            .member("engine", "cloze " CLOZE_VERSION)
            .member("mode", options.mode)
            .member("seconds_median", m.seconds_median)
            .member("seconds_min", m.seconds_min)
            .member("gflops", m.gflops)
            .member("rows_per_s", m.rows_per_s)
            .member("peak_bytes", m.peak_bytes)
            .end_object());
}

void run_tokenizer(const BenchArguments& options) {
  CLOZE_CHECK(!options.input.empty(), ErrorCode::kUsage, "--mode tokenize needs --input FILE");
  const TokenizeMeasurement m = measure_tokenizer(options.model, options.input, options.runs);
  JsonLine line;
  print(line.begin_object()
            .member("engine", "cloze " CLOZE_VERSION)
            .member("mode", "tokenize")
            .member("mb_per_s", m.mb_per_s)
            .member("lines_per_s", m.lines_per_s)
            .member("peak_bytes", peak_resident_bytes())
            .end_object());
}

void run_start(const BenchArguments& options) {
  const auto begin = std::chrono::steady_clock::now();
  ProfilePhase phase("load");
  const ModelFiles files = ModelFiles::open(options.model);
  const Precision precision = options.precision.resolve();
  const auto predictor = load_predictor(files, options.task, {.lengths = {}, .precision = precision});
  const TextExample row = predictor->sample_row();
  phase.next("forward");
  predictor->predict(std::span(&row, 1));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  JsonLine line;
  print(line.begin_object()
            .member("engine", "cloze " CLOZE_VERSION)
            .member("mode", "start")
            .member("seconds_median", seconds)
            .member("seconds_min", seconds)
            .member("peak_bytes", peak_resident_bytes())
            .end_object());
}

void run_bench(const BenchArguments& options) {
  options.threads.apply();
  CLOZE_CHECK(options.mode == "train" || !(options.gradient_checkpointing || options.lean), ErrorCode::kUsage,
              "--gradient-checkpointing and --lean are for --mode train, got --mode {}", options.mode);
  CLOZE_CHECK(options.mode == "train" || options.tuning.tune == "full", ErrorCode::kUsage,
              "--tune is for --mode train, got --mode {}", options.mode);
  CLOZE_CHECK(options.mode != "tokenize" || options.precision.precision == "fp32", ErrorCode::kUsage,
              "--precision is for --mode infer, train and start, got --mode tokenize");
  CLOZE_CHECK(options.mode == "start" || options.task.empty(), ErrorCode::kUsage,
              "--task is for --mode start, got --mode {}", options.mode);
  if (options.mode == "infer") return run_model(options, MeasureMode::kInfer);
  if (options.mode == "train") return run_model(options, MeasureMode::kTrain);
  if (options.mode == "tokenize") return run_tokenizer(options);
  if (options.mode == "start") return run_start(options);
  fail(ErrorCode::kUsage, "unknown --mode \"{}\"{}; known are infer, train, tokenize, start", options.mode,
       did_you_mean(options.mode, {"infer", "train", "tokenize", "start"}));
}

}  // namespace

std::function<void()> setup_bench(CLI::App& app) {
  auto options = std::make_shared<BenchArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--mode", options->mode, "infer, train, tokenize, start")->capture_default_str();
  app.add_option("--batch", options->batch, "rows a forward pass")->capture_default_str();
  app.add_option("--length", options->length, "tokens of each row")->capture_default_str();
  app.add_option("--lengths", options->lengths, "file of row lengths, one a line, instead of --length");
  app.add_option("--runs", options->runs, "timed passes, after one untimed")->capture_default_str();
  options->precision.add(app, "fp32; int8 with --mode infer and start; bf16 with --mode train");
  app.add_flag("--gradient-checkpointing", options->gradient_checkpointing, "with --mode train: as finetune's");
  app.add_flag("--lean", options->lean, "with --mode train: all of finetune's options that save memory");
  app.add_option("--input", options->input, "with --mode tokenize: a text a line");
  app.add_option("--task", options->task, "with --mode start: task; default: what the model was trained for");
  app.add_option("--tune", options->tuning.tune, "with --mode train: as finetune's")->capture_default_str();
  options->threads.add(app);
  options->profile.add(app);
  return [options] { options->profile.run([&] { run_bench(*options); }); };
}

}  // namespace cloze::cli
