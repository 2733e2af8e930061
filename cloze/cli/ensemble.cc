#include "cloze/transfer/ensemble.h"

#include "cloze/base/suggest.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"

namespace cloze::cli {
namespace {

struct EnsembleArguments {
  std::vector<std::string> models;
  std::vector<double> weights;
  std::string output, method = "average", train, dev;
  int64_t seed = 42;
  LengthFlags lengths;
  PrecisionFlag precision;
  TableFlags table;
  ThreadsOption threads;
};

void check_ensemble(const EnsembleArguments& o) {
  const std::vector<std::string> methods = {"average", "stacking"};
  CLOZE_CHECK(std::ranges::find(methods, o.method) != methods.end(), ErrorCode::kUsage,
              "--method must be average or stacking, got \"{}\"{}", o.method, did_you_mean(o.method, methods));
  const bool stacks = o.method == "stacking";
  CLOZE_CHECK(stacks == !o.train.empty(), ErrorCode::kUsage, "{}",
              stacks ? "--method stacking fits on labelled rows that no model was trained on: give --train"
                     : "--train is for --method stacking; an average needs no rows");
  CLOZE_CHECK(!stacks || o.weights.empty(), ErrorCode::kUsage, "--weights is for --method average");
  CLOZE_CHECK(!std::filesystem::exists(o.output) || std::filesystem::is_empty(o.output), ErrorCode::kUsage,
              "--output {} is not empty; choose another folder", o.output);
  for (const std::string& model : o.models) refuse_inside(model, o.output);
  const LengthOptions& lengths = o.lengths.lengths;
  CLOZE_CHECK(
      !stacks || (lengths.max_length == 0 && lengths.long_texts.empty() && lengths.stride < 0), ErrorCode::kUsage,
      "--max-length, --long and --stride change what the models answer, and the stack would be fitted on answers "
      "that predict does not get: train the models with them, or choose --method average");
}

Examples labelled(const EnsembleArguments& o, const Predictor& predictor, const std::string& file) {
  ExampleOptions options = o.table.resolve();
  require_columns(predictor.evaluation_columns(), options);
  Examples rows = read_all(file, options);
  CLOZE_CHECK(!rows.rows.empty(), ErrorCode::kValue, "{}: there are no rows", file);
  return rows;
}

std::string measured(const std::string& name, const Evaluation& found) {
  return fmt::format("{:<32} accuracy {:.4f}  f1_macro {:.4f}  loss {:.4f}", name,
                     metric_value(found.metrics, "accuracy"), metric_value(found.metrics, "f1_macro"),
                     metric_value(found.metrics, "loss"));
}

void run_ensemble(const EnsembleArguments& o) {
  check_ensemble(o);
  o.threads.apply();
  Ensemble ensemble({o.models.begin(), o.models.end()}, {o.lengths.lengths, o.precision.resolve(), {}});
  if (!o.weights.empty()) ensemble.set_weights(o.weights);
  if (!o.train.empty()) ensemble.stack(labelled(o, ensemble, o.train).rows, o.train, static_cast<uint64_t>(o.seed));
  for (const std::string& line : ensemble.summary()) say(line);
  if (!o.dev.empty()) {
    const Examples rows = labelled(o, ensemble, o.dev);
    for (size_t i = 0; i < ensemble.size(); ++i)
      say(measured(o.models[i], ensemble.evaluate_member(i, rows.rows, o.dev)));
    const Evaluation all = ensemble.evaluate(rows.rows, o.dev);
    say(measured(o.method + " of all", all));
    JsonLine line;
    line.begin_object().member("rows", all.lengths.rows);
    for (const auto& [name, value] : all.metrics) line.member(name, value);
    write_out(line.end_object().text() + "\n");
    flush_out();
  }
  ensemble.save(o.output);
  say(fmt::format("done: {} of {} models is in {}", o.method, ensemble.size(), o.output));
}

}  // namespace

std::function<void()> setup_ensemble(CLI::App& app) {
  auto options = std::make_shared<EnsembleArguments>();
  app.add_option("--models", options->models, "trained text classifiers with the same labels, two or more")->required();
  app.add_option("--output", options->output, "folder for the ensemble, which holds copies of them")->required();
  app.add_option("--method", options->method, "average, or stacking: a classifier on their log probabilities")
      ->capture_default_str();
  app.add_option("--weights", options->weights, "of the models in the average; default: all alike");
  app.add_option("--train", options->train, "with stacking: labelled rows that no model was trained on");
  app.add_option("--dev", options->dev, "labelled rows to measure each model and the ensemble on");
  app.add_option("--seed", options->seed, "of stacking's cross-validation")->capture_default_str();
  options->lengths.add(app);
  options->precision.add(app);
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run_ensemble(*options); };
}

}  // namespace cloze::cli
