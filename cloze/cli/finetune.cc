#include <atomic>
#include <chrono>
#include <csignal>

#include "cloze/base/fields.h"
#include "cloze/base/thread_team.h"
#include "cloze/cli/command.h"
#include "cloze/cli/memory.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/train/trainer.h"

namespace cloze::cli {
namespace {

std::atomic<bool> stop_asked{false};
extern "C" void ask_stop(int) {
  // A second signal ends the program at once.
  if (stop_asked.exchange(true)) std::_Exit(130);
}

/// What the run is about; the fields go into run.json, and a resumed run must have the same.
struct Source {
  std::string task, model, train, dev, vocab, size;
  bool from_scratch = false, cased = false;
  int64_t layers = 0, hidden = 0, heads = 0, max_length = 0;
  double dropout = -1, label_smoothing = 0;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("task", task, "what to train for, e.g. text-classification");
    visitor("train", train, "labelled rows to learn from");
    visitor("dev", dev, "labelled rows to choose the best weights by");
    visitor("model", model, "model directory to start from");
    visitor("from_scratch", from_scratch, "start from random weights instead of a model");
    visitor("vocab", vocab, "with --from-scratch: vocab.txt, or a model directory whose tokenizer to take");
    visitor("cased", cased, "with --from-scratch and a vocab.txt: keep upper case and accents");
    visitor("size", size, "with --from-scratch: tiny, mini, small, medium, base or large");
    visitor("layers", layers, "with --from-scratch: encoder layers, instead of the size's");
    visitor("hidden", hidden, "with --from-scratch: hidden width, instead of the size's");
    visitor("heads", heads, "with --from-scratch: attention heads, instead of hidden / 64");
    visitor("max_length", max_length, "tokens a row, longer ones are cut and counted; 0: what the model takes");
    visitor("dropout", dropout, "replaces the model's dropout; -1: keep it");
    visitor("label_smoothing", label_smoothing, "share of the target that is spread over all classes");
  }
};

struct Options {
  Source source;
  TrainOptions train;
  TableFlags table;
  ThreadsOption threads;
  std::string output;
  bool resume = false, overwrite = false;
};

BertConfig scratch_config(const Source& source) {
  BertConfig config = BertConfig::preset(source.size.empty() ? "tiny" : source.size);
  if (source.layers > 0) config.num_hidden_layers = source.layers;
  if (source.hidden > 0) {
    config.hidden_size = source.hidden;
    config.intermediate_size = 4 * source.hidden;
    config.num_attention_heads = std::max<int64_t>(1, source.hidden / 64);
  }
  if (source.heads > 0) config.num_attention_heads = source.heads;
  config = BertConfig::from_json(config.to_json(), "the model asked for");  // the same checks as for a file
  check_memory(config);
  return config;
}

TrainingSource resolve(const Options& options) {
  const Source& s = options.source;
  CLOZE_CHECK(!s.task.empty() && !s.train.empty(), ErrorCode::kUsage, "--task, --train and --output are needed");
  CLOZE_CHECK(s.from_scratch == s.model.empty(), ErrorCode::kUsage, "{}",
              s.from_scratch ? "--model and --from-scratch exclude each other"
                             : "where to start from? Give --model DIR, or --from-scratch --vocab FILE");
  CLOZE_CHECK(!s.from_scratch || !s.vocab.empty(), ErrorCode::kUsage,
              "--from-scratch needs --vocab: a vocab.txt or a model directory");
  CLOZE_CHECK(s.from_scratch ||
                  (s.vocab.empty() && s.size.empty() && s.layers == 0 && s.hidden == 0 && s.heads == 0 && !s.cased),
              ErrorCode::kUsage,
              "--vocab, --cased, --size, --layers, --hidden and --heads go with --from-scratch only");
  for (const int64_t size : {s.layers, s.hidden, s.heads, s.max_length})
    CLOZE_CHECK(size >= 0, ErrorCode::kUsage,
                "--layers, --hidden, --heads and --max-length must not be negative, got {}", size);
  CLOZE_CHECK(s.dropout < 1 && s.label_smoothing >= 0 && s.label_smoothing < 1, ErrorCode::kUsage,
              "--dropout and --label-smoothing must be below 1, got {} and {}", s.dropout, s.label_smoothing);
  // Before the aggregate: g++ 12 destroys members that it never made when an initialiser throws.
  const ExampleOptions examples = options.table.resolve();
  TrainingSource source{.model = s.model,
                        .vocab = s.vocab,
                        .cased = s.cased,
                        .scratch_config = {},
                        .train = s.train,
                        .dev = s.dev,
                        .examples = examples,
                        .max_length = s.max_length,
                        .label_smoothing = s.label_smoothing,
                        .dropout = s.dropout,
                        .seed = static_cast<uint64_t>(options.train.seed)};
  if (s.from_scratch) source.scratch_config = scratch_config(s);
  return source;
}

class Watcher : public TrainObserver {
 public:
  void on_step(const StepInfo& info) override {
    tokens_ += info.tokens;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    progress_.update(
        info.step, info.total_steps,
        fmt::format("epoch {}  loss {:.4f}  {} tok/s", info.epoch, info.loss,
                    grouped(static_cast<int64_t>(static_cast<double>(tokens_) / std::max(seconds, 1e-9)))));
  }
  void on_evaluation(const EvaluationInfo& info) override {
    progress_.clear();
    std::string line = fmt::format("epoch {:<3} step {:<6} train loss {:.4f}", info.epoch, info.step, info.train_loss);
    for (const char* name : {"loss", "accuracy", "f1_macro"})
      for (const auto& [known, value] : info.dev.metrics)
        if (known == name) line += fmt::format("   dev {} {:.4f}", name, value);
    say(line + (info.best && info.dev.rows > 0 ? "   (best so far, saved)" : ""));
  }
  void on_message(const std::string& line) override {
    progress_.clear();
    say(line);
  }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  Progress progress_;
  int64_t tokens_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

Json run_record(const Options& options) {
  Json run = Json::object();
  run["cloze"] = CLOZE_VERSION;
  for (const Json& part : {fields_to_json(options.source), fields_to_json(options.train)})
    for (const auto& [key, value] : part.items()) run[key] = value;
  const TableFlags& t = options.table;
  run["table"] = {{"format", t.format}, {"text", t.text},           {"text_pair", t.text_pair},
                  {"label", t.label},   {"no_header", t.no_header}, {"invalid_utf8", t.invalid_utf8}};
  run["threads"] = thread_team().size();
  return run;
}

void run(const Options& options) {
  CLOZE_CHECK(!options.resume || !options.overwrite, ErrorCode::kUsage, "--resume and --overwrite exclude each other");
  options.threads.apply();
  options.train.check();
  const Start start = options.resume ? Start::kResume : options.overwrite ? Start::kOverwrite : Start::kFresh;
  check_output(options.output, start);
  const TrainingSource source = resolve(options);
  const auto task = find_task(options.source.task).train(source);
  for (const std::string& line : task->summary()) say(line);
  std::signal(SIGINT, ask_stop);
  std::signal(SIGTERM, ask_stop);
  Watcher watcher;
  const TrainResult result =
      train(*task, options.train, run_record(options), options.output, start, watcher, stop_asked);
  if (result.was_complete)
    return say(
        fmt::format("the run in {} was finished already ({} steps): nothing to do", options.output, result.steps));
  if (result.best.rows > 0) say("\n" + result.best.text);
  if (result.metric.empty())
    say(fmt::format("done in {}: the last weights are in {} (give --dev to keep the best ones)",
                    clock_text(watcher.seconds()), options.output));
  else
    say(fmt::format("done in {}: best {} {:.4f} at step {} of {}; the model is in {}", clock_text(watcher.seconds()),
                    result.metric, result.best_value, result.best_step, result.steps, options.output));
}

}  // namespace

std::function<void()> setup_finetune(CLI::App& app) {
  auto options = std::make_shared<Options>();
  FieldBinder binder(app);
  options->source.visit(binder);
  app.get_option("--task")->required();
  app.get_option("--train")->required();
  app.add_option("--output", options->output, "folder for the trained model")->required();
  app.add_flag("--resume", options->resume, "go on with the stopped run in --output");
  app.add_flag("--overwrite", options->overwrite, "replace what --output holds");
  options->train.visit(binder);
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run(*options); };
}

}  // namespace cloze::cli
