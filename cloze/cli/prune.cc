#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "cloze/base/atomic_folder.h"
#include "cloze/base/json.h"
#include "cloze/base/rng.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/training_run.h"
#include "cloze/cli/vocab.h"
#include "cloze/compress/choose_structure.h"
#include "cloze/compress/vocabulary.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"
#include "cloze/task/class_labels.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze::cli {
namespace {

struct Options {
  std::string model, output, importance, data, dev, keep;
  std::vector<std::string> vocabulary;
  double target_speedup = 0;
  int64_t rows = 512, rounds = 4, min_count = 1, seed = 42;
  LatencyOptions latency;
  TableFlags table;
  ThreadsOption threads;
};

void check(const Options& o) {
  CLOZE_CHECK(!o.keep.empty() || o.target_speedup != 0 || !o.vocabulary.empty(), ErrorCode::kUsage,
              "what is to go? Give --keep heads=0.5,ffn=0.4, --target-speedup 2 or --vocabulary TEXT");
  CLOZE_CHECK(o.keep.empty() || o.target_speedup == 0, ErrorCode::kUsage,
              "--keep and --target-speedup exclude each other");
  CLOZE_CHECK(o.target_speedup == 0 || (o.target_speedup > 1 && o.target_speedup < 1e6), ErrorCode::kUsage,
              "--target-speedup must be above 1, got {}", o.target_speedup);
  CLOZE_CHECK(o.importance.empty() || o.importance == "magnitude" || !o.data.empty(), ErrorCode::kUsage,
              "--importance {} reads gradients: give labelled rows with --data", o.importance);
  CLOZE_CHECK(o.rows >= 1 && o.rounds >= 1 && o.rounds <= 100 && o.min_count >= 1 && o.latency.batch >= 1 &&
                  o.latency.length >= 1 && o.latency.multiple >= 1 && o.latency.batch <= 4096 &&
                  o.latency.multiple <= 65536,
              ErrorCode::kUsage,
              "--rows, --rounds (100 at most), --min-count, --batch, --length and --multiple must be at least 1");
  CLOZE_CHECK(!std::filesystem::exists(o.output), ErrorCode::kUsage,
              "--output {} is there already; give a new folder, or remove it", o.output);
}

/// From the gradients of the loss of the model in `folder` on labelled rows.
Importance from_rows(const Options& o, const Path& folder, const BertConfig& config, Criterion criterion,
                     const std::string& round) {
  TrainingSource source;
  source.model = folder.string();
  source.train = o.data;
  source.examples = o.table.resolve();
  const std::unique_ptr<TrainingTask> training =
      find_training_task(task_of(ModelFiles::open(folder), "").name).train(source);
  std::vector<int64_t> rows(static_cast<size_t>(training->rows()));
  std::iota(rows.begin(), rows.end(), 0);
  Rng rng(static_cast<uint64_t>(o.seed), RandomStream::kData);
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
  rows.resize(std::min<size_t>(rows.size(), static_cast<size_t>(o.rows)));
  Progress progress;
  constexpr int64_t kTaylorBatch = 8;
  const auto report = [&](int64_t done) {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
    progress.update(done, std::ssize(rows), "rows read for their gradients" + round);
  };
  const Importance importance = gradient_importance(*training, config, criterion, rows,
                                                    criterion == Criterion::kFisher ? 1 : kTaylorBatch, report);
  progress.clear();
  return importance;
}

void check_data(const Options& o, const BertConfig& config) {
  CLOZE_CHECK(!json_bool_or(config.cloze, kNumbersKey, false, "config.json"), ErrorCode::kUnsupported,
              "{} reads joined features, which --data does not bring to it: prune by --importance magnitude", o.model);
  ExampleOptions labelled = o.table.resolve();
  labelled.columns.label_need = Need::kRequired;
  const std::vector<std::string> found = collect_labels(read_all(o.data, labelled).rows, o.data);
  CLOZE_CHECK(std::set(found.begin(), found.end()) == std::set(config.labels.begin(), config.labels.end()),
              ErrorCode::kValue, "{}: --data must have rows of each of the model's labels ({}) and no others, found {}",
              o.data, shorten_list(config.labels), shorten_list(found));
}

Importance by_magnitude(const Path& folder, const BertConfig& config) {
  Bert bert(config, Pooler::kWithout);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{folder};
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  return magnitude_importance(parameters, config);
}

/// Heads and neurons in all.
std::pair<double, double> units_of(const BertConfig& config) {
  double heads = 0, neurons = 0;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    heads += static_cast<double>(config.layer(i).heads);
    neurons += static_cast<double>(config.layer(i).feed_forward);
  }
  return {heads, neurons};
}

/// Takes heads and neurons out, in rounds: what the rest is worth changes with what goes, so the last head of all looks
/// as cheap as the first until it is asked again. `folder` gets the model of each round in a folder of its own; the
/// last one's path is returned.
Path prune_in_rounds(const Options& o, const BertConfig& config, const Path& folder) {
  const Criterion criterion = parse_criterion(!o.importance.empty() ? o.importance
                                              : o.data.empty()      ? "magnitude"
                                                                    : "fisher");
  const bool reads = criterion != Criterion::kMagnitude;
  if (reads) check_data(o, config);
  if (o.data.empty())
    say("note: without --data what goes is chosen by the size of its weights alone, which knows nothing of the task: "
        "expect to lose more accuracy than with labelled rows");
  const KeepShares shares = o.keep.empty() ? KeepShares{} : parse_keep(o.keep);
  LatencyTable table;
  if (o.target_speedup != 0) {
    say("timing layers of all widths on this machine");
    table = measure_latency(config, o.latency);
    const double most = most_speedup(config, table);
    CLOZE_CHECK(most >= o.target_speedup, ErrorCode::kValue,
                "--target-speedup {}: without any head and neuron the encoder would be {:.2f} times as fast, which is "
                "the most that is possible",
                o.target_speedup, most);
  }
  const int64_t rounds = reads ? o.rounds : 1;
  Path model = o.model;
  if (shares.layers < 1) {  // first: the other shares are of the layers that stay
    const Importance any = by_magnitude(model, config);
    write_pruned(model, folder / "layers", keep_shares(any, config, {.layers = shares.layers}, 1), {});
    model = folder / "layers";
  }
  const auto [all_heads, all_neurons] = units_of(load_config(ModelFiles::open(model)));
  double reached = 1;
  constexpr int64_t kTries = 4, kRuns = 5;
  for (int64_t round = 1; round <= rounds + kTries; ++round) {
    const BertConfig now = load_config(ModelFiles::open(model));
    const double part = std::min(1.0, static_cast<double>(round) / static_cast<double>(rounds));
    const std::string name = rounds > 1 ? fmt::format(", round {} of {}", std::min(round, rounds), rounds) : "";
    const Importance importance = reads ? from_rows(o, model, now, criterion, name) : by_magnitude(model, now);
    Structure keep;
    if (o.target_speedup != 0) {
      // By the clock, not by the table's sum: where the whole is slower than that thinks, more is asked for.
      double factor = std::max(1.005, std::pow(o.target_speedup, part) / reached);
      if (round > 1) factor = std::min(factor, most_speedup(now, table));
      keep = keep_for_speed(importance, now, table, factor);
    } else {
      const auto [heads, neurons] = units_of(now);
      const auto share = [&](double wanted, double all, double left) {
        return left == 0 ? 1 : std::min(1.0, std::pow(wanted, part) * all / left);
      };
      const KeepShares own{share(shares.heads, all_heads, heads), share(shares.ffn, all_neurons, neurons), 1};
      keep = keep_shares(importance, now, own, part < 1 ? 1 : o.latency.multiple);
    }
    const Path next = folder / fmt::format("round-{}", round);
    write_pruned(model, next, keep, {});
    if (model != o.model) std::filesystem::remove_all(model);
    model = next;
    if (o.target_speedup == 0 && round == rounds) break;
    if (o.target_speedup == 0) continue;
    const auto [before, after] = measure_side_by_side(config, load_config(ModelFiles::open(model)), o.latency, kRuns);
    reached = before / after;
    if (round >= rounds && reached >= o.target_speedup) break;
    if (most_speedup(load_config(ModelFiles::open(model)), table) <= 1) break;  // nothing is left to go
  }
  if (o.target_speedup != 0 && reached < o.target_speedup)
    say(fmt::format("note: {:.2f} times as fast is what came of it on the clock, not {}", reached, o.target_speedup));
  return model;
}

std::string shape_text(const BertConfig& config) {
  std::string text;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    text += fmt::format("{}{}/{}", i == 0 ? "" : " ", config.layer(i).heads, config.layer(i).feed_forward);
  return text;
}

double file_megabytes(const Path& folder) {
  double bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") bytes += static_cast<double>(entry.file_size());
  return bytes / 1e6;
}

void say_metrics(const Options& o, const Path& folder, const char* name, JsonLine& line) {
  const auto predictor = load_predictor(ModelFiles::open(folder), "", {});
  ExampleOptions options = o.table.resolve();
  require_columns(predictor->evaluation_columns(), options);
  const Examples rows = read_all(o.dev, options);
  CLOZE_CHECK(!rows.rows.empty(), ErrorCode::kValue, "{}: there are no rows", o.dev);
  const Evaluation found = predictor->evaluate(rows.rows, o.dev);
  std::string shown;
  line.key(name).begin_object();
  for (const auto& [metric, value] : found.metrics) line.member(metric, value);
  line.end_object();
  for (size_t i = 0; i < std::min<size_t>(2, found.metrics.size()); ++i)
    shown += fmt::format("  {} {:.4f}", found.metrics[i].first, found.metrics[i].second);
  say(fmt::format("{:<7}{}", name, shown));
}

void run(const Options& o) {
  check(o);
  o.threads.apply();
  const ModelFiles files = ModelFiles::open(o.model);
  const BertConfig config = load_config(files);
  CLOZE_CHECK(
      !is_frozen_classifier(config), ErrorCode::kUnsupported,
      "{} is a classifier on a frozen encoder, which knows the vectors of the whole encoder: prune the encoder, "
      "then fit the classifier again",
      o.model);
  AtomicFolder folder(o.output);
  const Path rounds = folder.path() / "rounds";
  const bool cut = !o.keep.empty() || o.target_speedup != 0;
  const Path model = cut ? prune_in_rounds(o, config, rounds) : Path(o.model);
  std::vector<int32_t> pieces;
  if (!o.vocabulary.empty()) {
    const Tokenizer tokenizer = Tokenizer::load(o.model);
    WordCountOptions counting;
    counting.normalizer = tokenizer.options().normalizer;
    counting.max_chars_per_word = tokenizer.options().max_chars_per_word;
    pieces = needed_pieces(tokenizer, count_corpus(o.vocabulary, counting), o.min_count);
    say(fmt::format("vocabulary: {} of {} pieces are kept", grouped(std::ssize(pieces)),
                    grouped(tokenizer.vocabulary().size())));
  }
  write_pruned(model, folder.path(), whole_structure(load_config(ModelFiles::open(model))), pieces);
  std::filesystem::remove_all(rounds);
  const BertConfig pruned = load_config(ModelFiles::open(folder.path()));
  constexpr int64_t kRuns = 9;
  const auto [before, after] = measure_side_by_side(config, pruned, o.latency, kRuns);
  const double old_size = file_megabytes(o.model), new_size = file_megabytes(folder.path());
  const double old_count = config.parameter_elements(), new_count = pruned.parameter_elements();
  say(fmt::format("heads/neurons by layer: {} -> {}", shape_text(config), shape_text(pruned)));
  say(fmt::format(
      "parameters {} -> {} ({:.1f} %), weights {:.1f} -> {:.1f} MB, {} x {} tokens {:.1f} -> {:.1f} ms "
      "({:.2f} times as fast)",
      grouped(static_cast<int64_t>(old_count)), grouped(static_cast<int64_t>(new_count)), 100 * new_count / old_count,
      old_size, new_size, o.latency.batch, o.latency.length, 1e3 * before, 1e3 * after, before / after));
  JsonLine line;
  line.begin_object().member("model", o.output).member("parameters", static_cast<int64_t>(new_count));
  line.member("parameters_before", static_cast<int64_t>(old_count)).member("megabytes", new_size);
  line.member("megabytes_before", old_size).member("seconds", after).member("seconds_before", before);
  if (!o.dev.empty()) {
    say_metrics(o, o.model, "before", line);
    say_metrics(o, folder.path(), "after", line);
  }
  folder.commit();
  say(fmt::format(
      "done: the pruned model is in {}{}", o.output,
      cut ? "; fine-tune it again to recover what it lost: cloze finetune --model " + o.output + " …" : ""));
  write_out(line.end_object().take() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_prune(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--output", options->output, "new model directory")->required();
  app.add_option("--keep", options->keep, "shares that stay: heads=0.5,ffn=0.4,layers=0.5, any of them");
  app.add_option("--target-speedup", options->target_speedup,
                 "take out what costs least until the encoder is so many times as fast on this machine");
  app.add_option("--vocabulary", options->vocabulary,
                 "texts: pieces of the vocabulary that they never need go, with their embeddings");
  app.add_option("--min-count", options->min_count, "with --vocabulary: how often a piece must be needed")
      ->capture_default_str();
  app.add_option("--importance", options->importance,
                 "fisher, taylor (both need --data) or magnitude; default: fisher with --data");
  app.add_option("--data", options->data, "labelled rows whose gradients tell what matters");
  app.add_option("--rows", options->rows, "how many rows of --data are read, drawn at random")->capture_default_str();
  app.add_option("--rounds", options->rounds, "gradients are read anew so many times, as the model shrinks")
      ->capture_default_str();
  app.add_option("--dev", options->dev, "labelled rows to measure both models on");
  app.add_option("--multiple", options->latency.multiple, "neurons a layer keeps are a multiple of it")
      ->capture_default_str();
  app.add_option("--batch", options->latency.batch, "rows a pass, for timing")->capture_default_str();
  app.add_option("--length", options->latency.length, "tokens a row, for timing")->capture_default_str();
  app.add_option("--seed", options->seed, "draws the rows")->capture_default_str();
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  return [options] { run(*options); };
}

}  // namespace cloze::cli
