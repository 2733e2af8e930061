#include <algorithm>
#include <cmath>

#include "cloze/base/child_process.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/training_run.h"
#include "cloze/model/checkpoint.h"
#include "cloze/train/options.h"
#include "cloze/transfer/measure_way.h"

namespace cloze::cli {
namespace {

struct CompareTransferArguments {
  std::string task = "text-classification", model, train, dev, test, output, html, budget, precision = "fp32";
  std::vector<std::string> ways;
  int64_t max_length = 0, epochs = 4, batch_size = 16, seed = 42;
  double learning_rate = 0;
  bool overwrite = false;
  TableFlags table;
  ThreadsOption threads;
};

/// A learning rate for fine-tuning by the encoder's width: 5e-5 at 768 (the highest of Devlin et al., 2019), more for
/// narrow ones.
double default_rate(int64_t hidden) {
  return std::min(3e-4, 5e-5 * 768 / static_cast<double>(hidden));
}

std::vector<std::string> common_options(const CompareTransferArguments& o) {
  std::vector<std::string> options = {"--task",       o.task,
                                      "--model",      o.model,
                                      "--train",      o.train,
                                      "--seed",       std::to_string(o.seed),
                                      "--max-length", std::to_string(o.max_length)};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) options.insert(options.end(), {name, value});
  };
  add("--dev", o.dev);
  const std::vector<std::string> table = o.table.arguments();
  options.insert(options.end(), table.begin(), table.end());
  if (o.threads.threads != 0) options.insert(options.end(), {"--threads", std::to_string(o.threads.threads)});
  return options;
}

/// Few rows want more passes: at least 150 steps.
int64_t steps_of(const CompareTransferArguments& o, int64_t rows) {
  const int64_t batches = (rows + o.batch_size - 1) / o.batch_size;
  return std::max<int64_t>(150, batches * o.epochs);
}

void check_compare_transfer(const CompareTransferArguments& o) {
  CLOZE_CHECK(o.task == "text-classification", ErrorCode::kUsage, "ways are compared for text-classification, not {}",
              o.task);
  parse_training_precision(o.precision);
  CLOZE_CHECK(o.epochs >= 1 && o.batch_size >= 1 && o.learning_rate >= 0, ErrorCode::kUsage,
              "--epochs and --batch-size must be at least 1, --learning-rate not negative");
  CLOZE_CHECK(o.overwrite || !std::filesystem::exists(o.output) || std::filesystem::is_empty(o.output),
              ErrorCode::kUsage, "--output {} is not empty; choose another folder, or replace it with --overwrite",
              o.output);
}

/// The rows that all ways are measured on.
Examples measured_rows(const CompareTransferArguments& o) {
  ExampleOptions examples = o.table.resolve();
  examples.columns.label_need = Need::kRequired;
  const Examples rows = read_all(o.test.empty() ? o.dev : o.test, examples);
  CLOZE_CHECK(!rows.rows.empty(), ErrorCode::kValue, "{}: there are no rows", o.test.empty() ? o.dev : o.test);
  return rows;
}

/// What is left of the budget for each way that trains the encoder; 0: as much as it takes.
double share_of(double budget, double spent, int64_t left) {
  return budget == 0 ? 0 : std::max(1.0, (budget - spent) / static_cast<double>(std::max<int64_t>(left, 1)));
}

void run_compare_transfer(const CompareTransferArguments& o) {
  check_compare_transfer(o);
  o.threads.apply();
  const double budget = o.budget.empty() ? 0 : parse_duration(o.budget);
  const std::vector<TransferWay> ways = pick_ways(o.ways);
  const BertConfig config = load_config(ModelFiles::open(o.model));
  ExampleOptions examples = o.table.resolve();
  examples.columns.label_need = Need::kRequired;
  const int64_t train_rows = static_cast<int64_t>(read_all(o.train, examples).rows.size());
  const Examples rows = measured_rows(o);
  const std::string file = o.test.empty() ? o.dev : o.test;
  make_folder(o.output);
  const double rate = o.learning_rate > 0 ? o.learning_rate : default_rate(config.hidden_size);
  WaySettings settings{own_program().string(),
                       common_options(o),
                       {"--feature-cache", (Path(o.output) / "cache").string()},
                       {},
                       o.output};
  int64_t left = std::ranges::count_if(ways, &TransferWay::trains_encoder);
  const int64_t steps = steps_of(o, train_rows);
  say(fmt::format(
      "{} training rows, measured on {} rows of {}{}", train_rows, rows.rows.size(), file,
      o.test.empty() ? ", by which weights and poolings are chosen too: give --test for an unbiased measure" : ""));
  std::vector<WayResult> results;
  double spent = 0;
  for (size_t i = 0; i < ways.size(); ++i) {
    const TransferWay& way = ways[i];
    say(fmt::format("[{}/{}] {}: {}", i + 1, ways.size(), way.name, way.summary));
    settings.training_only = {"--learning-rate", fmt::format("{}", rate * way.rate),
                              "--batch-size",    std::to_string(o.batch_size),
                              "--batching",      "by-length",
                              "--precision",     o.precision,
                              "--eval-steps",    std::to_string(std::max<int64_t>(1, steps / 4))};
    const double share = share_of(budget, spent, left);
    if (share > 0)
      settings.training_only.insert(settings.training_only.end(), {"--time-budget", fmt::format("{:.0f}s", share)});
    else
      settings.training_only.insert(settings.training_only.end(), {"--steps", std::to_string(steps)});
    WayResult result = measure_way(way, settings, rows.rows, file);
    if (way.trains_encoder) --left;
    spent += result.train_seconds;
    say(result.failed ? "  failed: " + result.note
                      : fmt::format("  accuracy {:.4f} in {:.1f} s", result.accuracy, result.train_seconds));
    write_out(way_line(result) + "\n");
    flush_out();
    results.push_back(std::move(result));
  }
  say("\n" + ways_table(results) + "\n" + recommendation(results));
  const std::string page = o.html.empty() ? (Path(o.output) / "report.html").string() : o.html;
  write_file(page, ways_page(results, fmt::format("{}: ways of transfer", Path(o.train).filename().string())));
  say(fmt::format("the models and their logs are in {}, the plot in {}", o.output, page));
  CLOZE_CHECK(recommended(results) != nullptr, ErrorCode::kValue, "no way came to its end");
}

}  // namespace

std::function<void()> setup_compare_transfer(CLI::App& app) {
  auto options = std::make_shared<CompareTransferArguments>();
  app.add_option("--model", options->model, "pretrained model directory")->required();
  app.add_option("--train", options->train, "labelled rows to learn from")->required();
  app.add_option("--dev", options->dev, "labelled rows to choose the best weights and poolings by")->required();
  app.add_option("--test", options->test,
                 "labelled rows that nothing is chosen by, to measure on; default: the dev rows");
  app.add_option("--output", options->output, "folder for models, logs and the report")->required();
  app.add_flag("--overwrite", options->overwrite, "replace what --output holds");
  app.add_option("--task", options->task, "text-classification")->capture_default_str();
  app.add_option(
      "--ways", options->ways,
      "some of: prototype knn linear svm mlp linear-auto linear-tfidf head bitfit lora top=1 full; default: all");
  app.add_option("--time-budget", options->budget,
                 "about so long for all, e.g. 10m: ways that train the encoder share what the others leave");
  app.add_option("--epochs", options->epochs, "of ways that train the encoder, and at least 150 steps")
      ->capture_default_str();
  app.add_option("--batch-size", options->batch_size, "of ways that train the encoder")->capture_default_str();
  app.add_option(
         "--learning-rate", options->learning_rate,
         "of full; 0: 5e-5 x 768 / hidden width, at most 3e-4. top=1 takes 4 times as much, lora 7, head and bitfit 20")
      ->capture_default_str();
  app.add_option("--precision", options->precision,
                 "of the products of ways that train the encoder: fp32, or bf16 (faster with AVX512_BF16)")
      ->capture_default_str();
  app.add_option("--max-length", options->max_length, "tokens a row; 0: what the model takes")->capture_default_str();
  app.add_option("--seed", options->seed, "of folds, initial weights and row order")->capture_default_str();
  app.add_option("--html", options->html, "where the report goes; default: OUTPUT/report.html");
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run_compare_transfer(*options); };
}

}  // namespace cloze::cli
