#include "cloze/base/profile.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

struct EvaluateArguments {
  std::string model, task, data;
  LengthFlags lengths;
  PrecisionFlag precision;
  TableFlags table;
  ThreadsOption threads;
  ProfileFlag profile;
};

void run_evaluate(const EvaluateArguments& options) {
  options.threads.apply();
  ProfilePhase phase("load");
  const Precision precision = options.precision.resolve();
  const ModelFiles files = ModelFiles::open(options.model);
  const auto predictor = load_predictor(files, options.task, {options.lengths.lengths, precision});
  ExampleOptions wanted = options.table.resolve();
  require_columns(predictor->evaluation_columns(), wanted);
  const Examples examples = read_all(options.data, wanted);
  CLOZE_CHECK(!examples.rows.empty(), ErrorCode::kValue, "{}: there are no rows", options.data);
  phase.next("evaluate");
  const Evaluation result = predictor->evaluate(examples.rows, options.data);
  phase.next("output");
  say(fmt::format("{} rows of {}, {}", result.lengths.rows, options.data, describe(examples.columns)));
  if (const std::string note = result.lengths.text(predictor->limits()); !note.empty()) say("note: " + note);
  if (examples.replaced > 0)
    say(fmt::format("note: {} invalid UTF-8 sequences were replaced by U+FFFD", examples.replaced));
  say("\n" + result.text);
  JsonLine line;
  line.begin_object().member("rows", result.lengths.rows);
  for (const auto& [name, value] : result.metrics) line.member(name, value);
  line.member("truncated", result.lengths.truncated).member("windowed", result.lengths.windowed).end_object();
  write_out(line.text() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_evaluate(CLI::App& app) {
  auto options = std::make_shared<EvaluateArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--data", options->data, "labelled file (fill-mask: of texts); - is stdin")->required();
  app.add_option("--task", options->task, "task; default: what the model was trained for");
  options->lengths.add(app);
  options->precision.add(app);
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  options->profile.add(app);
  return [options] { options->profile.run([&] { run_evaluate(*options); }); };
}

}  // namespace cloze::cli
