#include "cloze/base/profile.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

struct PredictArguments {
  std::string model, task, input = "-";
  LengthFlags lengths;
  PrecisionFlag precision;
  std::optional<int64_t> top_k;
  TableFlags table;
  ThreadsOption threads;
  ProfileFlag profile;
};

void run_predict(const PredictArguments& options) {
  options.threads.apply();
  ProfilePhase phase("load");
  const Precision precision = options.precision.resolve();
  const ModelFiles files = ModelFiles::open(options.model);
  const auto predictor = load_predictor(files, options.task, {options.lengths.lengths, precision, options.top_k});
  phase.next("read");
  ExampleOptions examples = options.table.resolve();
  require_columns(predictor->prediction_columns(), examples);
  const auto reader = ExampleReader::open(options.input, examples);
  const StreamCounts counts = predict_stream(*predictor, *reader, [](std::span<const std::string> lines) {
    for (const std::string& line : lines) write_out(line + "\n");
    flush_out();
  });
  if (const std::string note = counts.lengths.text(predictor->limits()); !note.empty()) say("note: " + note);
  if (counts.replaced > 0)
    say(fmt::format("note: {} invalid UTF-8 sequences were replaced by U+FFFD", counts.replaced));
}

}  // namespace

std::function<void()> setup_predict(CLI::App& app) {
  auto options = std::make_shared<PredictArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--task", options->task, "task; default: what the model was trained for");
  app.add_option("--input", options->input, "file of rows; - is stdin")->capture_default_str();
  options->lengths.add(app);
  options->precision.add(app);
  app.add_option("--top-k", options->top_k, "fill-mask: how many words for each mask; default 5");
  options->table.add(app, TableFlags::Labels::kNone, "replace");
  options->threads.add(app);
  options->profile.add(app);
  return [options] { options->profile.run([&] { run_predict(*options); }); };
}

}  // namespace cloze::cli
