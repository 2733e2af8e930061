#include <charconv>
#include <cmath>

#include "cloze/base/atomic_folder.h"
#include "cloze/base/json.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"
#include "cloze/cli/prune_work.h"
#include "cloze/cli/training_run.h"
#include "cloze/compress/judge.h"
#include "cloze/compress/measure_models.h"
#include "cloze/compress/prune_rounds.h"
#include "cloze/compress/quantize.h"
#include "cloze/compress/sparsify.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"
#include "cloze/train/communicator.h"

namespace cloze::cli {
namespace {

struct PruneArguments : PruneFlags {
  std::string keep, target_latency, target_size;
  double target_speedup = 0, max_drop = -1, sparsity = 0;
  bool gradual = false, zero_blocks = false;

  bool cuts() const {
    return !keep.empty() || target_speedup != 0 || !target_latency.empty() || !target_size.empty() || sparsity != 0;
  }
};

void check_prune(const PruneArguments& o) {
  const auto goals = static_cast<int>(!o.keep.empty()) + static_cast<int>(o.target_speedup != 0) +
                     static_cast<int>(!o.target_latency.empty()) + static_cast<int>(!o.target_size.empty()) +
                     static_cast<int>(o.sparsity != 0);
  CLOZE_CHECK(goals > 0 || !o.vocabulary.empty(), ErrorCode::kUsage,
              "what is to go? Give --keep heads=0.5,ffn=0.4, --target-speedup 2, --target-latency 8ms, --target-size "
              "20MB, --sparsity 0.9 or --vocabulary TEXT");
  CLOZE_CHECK(goals <= 1, ErrorCode::kUsage,
              "--keep, --target-speedup, --target-latency, --target-size and --sparsity exclude each other");
  CLOZE_CHECK(o.sparsity == 0 || (o.sparsity > 0 && o.sparsity < 1), ErrorCode::kUsage,
              "--sparsity is a share of zeros above 0 and below 1, got {}", o.sparsity);
  CLOZE_CHECK(o.sparsity == 0 || o.importance.empty() || o.importance == "magnitude" || o.importance == "movement",
              ErrorCode::kUsage, "--sparsity goes by magnitude or movement, not by {}", o.importance);
  CLOZE_CHECK(o.sparsity != 0 || !o.zero_blocks, ErrorCode::kUsage,
              "--zero-blocks says where the zeros of --sparsity stand: give a share with it, e.g. --sparsity 0.9");
  CLOZE_CHECK(o.target_speedup == 0 || (o.target_speedup > 1 && o.target_speedup < 1e6), ErrorCode::kUsage,
              "--target-speedup must be above 1, got {}", o.target_speedup);
  CLOZE_CHECK(o.importance.empty() || o.importance == "magnitude" || !o.data.empty(), ErrorCode::kUsage,
              "--importance {} reads gradients: give labelled rows with --data", o.importance);
  CLOZE_CHECK(o.recover_epochs == 0 || !o.data.empty(), ErrorCode::kUsage,
              "--recover trains again: give labelled rows with --data");
  CLOZE_CHECK(o.recover_epochs > 0 || !o.gradual, ErrorCode::kUsage,
              "--gradual trains between the rounds: give epochs with --recover");
  CLOZE_CHECK(o.max_drop < 0 || !o.dev.empty(), ErrorCode::kUsage, "--max-drop wants rows to judge by: give --dev");
  o.PruneFlags::check();
}

/// "8ms" as 8e-3 and the like. Errors: kUsage.
double parse_quantity(const std::string& text, const char* option,
                      std::initializer_list<std::pair<const char*, double>> units) {
  double number = 0;
  const char *begin = text.data(), *end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  std::string known;
  for (const auto& [unit, factor] : units) {
    if (error == std::errc() && number > 0 && std::isfinite(number) && std::string_view(rest, end) == unit)
      return number * factor;
    known += (known.empty() ? "" : ", ") + std::string(unit);
  }
  fail(ErrorCode::kUsage, "{} takes a number above 0 with its unit ({}), got \"{}\"", option, known, text);
}

PruneGoal goal_of(const PruneArguments& o, const BertConfig& config, int64_t rounds) {
  PruneGoal goal{PruneGoal::Of::kShares, o.keep.empty() ? KeepShares{} : parse_keep(o.keep), 1, rounds, o.latency};
  if (o.target_speedup != 0) {
    goal.of = PruneGoal::Of::kSeconds;
    goal.factor = o.target_speedup;
  } else if (!o.target_latency.empty()) {
    const double wanted = parse_quantity(o.target_latency, "--target-latency", {{"ms", 1e-3}, {"s", 1}, {"us", 1e-6}});
    constexpr int64_t kRuns = 9;
    LatencyOptions latency = o.latency;
    latency.pooled = has_pooler(o.model);
    const double now = measure_seconds(config, latency, kRuns);
    goal.of = PruneGoal::Of::kSeconds;
    goal.factor = now / wanted;
    say(fmt::format("{} x {} tokens take {:.2f} ms now; {:.2f} ms are asked for", o.latency.batch, o.latency.length,
                    1e3 * now, 1e3 * wanted));
  } else if (!o.target_size.empty()) {
    const double wanted = parse_quantity(o.target_size, "--target-size", {{"MB", 1e6}, {"kB", 1e3}, {"GB", 1e9}});
    goal.of = PruneGoal::Of::kBytes;
    goal.factor = static_cast<double>(model_size(o.model).bytes) / wanted;
  }
  CLOZE_CHECK(goal.of == PruneGoal::Of::kShares || goal.factor > 1, ErrorCode::kUsage,
              "{}: the model is there already, nothing needs to go",
              o.target_size.empty() ? "--target-latency " + o.target_latency : "--target-size " + o.target_size);
  return goal;
}

/// Whether a model of a round keeps within --max-drop of `whole`; says so.
bool within(const PruneArguments& o, const Path& model, double whole) {
  const auto& [name, value] = judge(model, "", o.dev, o.table.resolve()).headline();
  const bool fits = 100 * (whole - value) <= o.max_drop + 1e-9;
  say(fmt::format("{} {:.4f} -> {:.4f}{}", name, whole, value,
                  fits ? "" : fmt::format(": more than {} points are lost; the model before it stays", o.max_drop)));
  return fits;
}

/// Trains the model of folder `from` again, into `to`, stored as the whole one is: what is judged, and measured against
/// a size, is what comes out in the end.
void train_in_form(const PruneArguments& o, const Path& from, const Path& to, const std::string& round,
                   Zeros zeros = Zeros::kFree) {
  QuantizeOptions form = stored_form(o.model);
  if (zeros == Zeros::kKept) form.int8.clear();  // zeros are stored and multiplied as floats
  if (form.int8.empty() && form.floats.value_or(DType::kF32) == DType::kF32)
    return train_again(o, from, to, round, zeros);
  Path floats = to;
  floats += "-floats";
  train_again(o, from, floats, round, zeros);
  write_quantized(floats, to, form);
  std::filesystem::remove_all(floats);
}

/// The same model with zeros, in rounds where it is trained again between them.
Path sparsify(const PruneArguments& o, const BertConfig& config, const Path& folder) {
  const bool moves = o.importance == "movement";
  if (o.recover_epochs > 0 || moves) check_data(o, config);
  if (o.recover_epochs == 0)
    say("note: without --recover what is left is not trained again: expect to lose much beyond half of the weights");
  const bool gradual = o.gradual || o.max_drop >= 0;
  const int64_t rounds = gradual ? o.rounds : 1;
  const double whole = o.max_drop < 0 ? 0 : judge(o.model, "", o.dev, o.table.resolve()).headline().second;
  Path model = o.model;
  for (int64_t round = 1; round <= rounds; ++round) {
    const double share = sparsity_at(o.sparsity, round, rounds);
    Path next = folder / fmt::format("sparse-{}", round);
    const std::string name = rounds > 1 ? fmt::format(", round {} of {}", round, rounds) : "";
    write_sparse(model, next, share, moves ? weigh_weights(o, model, config, name) : WeightScores(),
                 o.zero_blocks ? ZeroPattern::kBlocks : ZeroPattern::kSingle);
    if (o.recover_epochs > 0) {
      const Path trained = folder / fmt::format("trained-{}", round);
      train_in_form(o, next, trained, fmt::format(", {:.0f} % zeros", 100 * share), Zeros::kKept);
      next = trained;
    }
    if (o.max_drop >= 0 && !within(o, next, whole)) break;
    model = next;
  }
  say(fmt::format("{:.1f} % of the encoder's products are zeros", 100 * sparsity_of(model)));
  return model;
}

/// Takes heads and neurons out; gives the folder of what came of it, in `folder` or the model's own.
Path prune(const PruneArguments& o, const BertConfig& config, const Path& folder) {
  if (o.sparsity != 0) return sparsify(o, config, folder);
  const bool reads = o.criterion() != Criterion::kMagnitude;
  if (reads) check_data(o, config);
  if (o.data.empty())
    say("note: without --data what goes is chosen by the size of its weights alone, which knows nothing of the task: "
        "expect to lose more accuracy than with labelled rows");
  const bool gradual = o.gradual || (o.max_drop >= 0 && o.recover_epochs > 0);
  const PruneGoal goal = goal_of(o, config, reads || gradual || o.max_drop >= 0 ? o.rounds : 1);
  const double whole = o.max_drop < 0 ? 0 : judge(o.model, "", o.dev, o.table.resolve()).headline().second;
  PruneWork work;
  work.folder = folder;
  work.say = [](const std::string& line) { say(line); };
  work.weigh = [&](const Path& model, const BertConfig& now, const std::string& round) {
    return weigh(o, model, now, round);
  };
  if (gradual)
    work.recover = [&](const Path& model, int64_t round) {
      Path trained = folder / fmt::format("trained-{}", round);
      train_in_form(o, model, trained, fmt::format(", round {}", round));
      return trained;
    };
  if (o.max_drop >= 0) work.within = [&](const Path& model) { return within(o, model, whole); };
  const Path pruned = prune_in_rounds(o.model, goal, work);
  if (o.recover_epochs == 0 || gradual) return pruned;
  train_in_form(o, pruned, folder / "trained", "");
  return folder / "trained";
}

void say_metrics(const PruneArguments& o, const Path& folder, const char* name, JsonLine& line) {
  const Judgement found = judge(folder, "", o.dev, o.table.resolve());
  std::string shown;
  line.key(name).begin_object();
  for (const auto& [metric, value] : found.metrics) line.member(metric, value);
  line.end_object();
  for (size_t i = 0; i < std::min<size_t>(2, found.metrics.size()); ++i)
    shown += fmt::format("  {} {:.4f}", found.metrics[i].first, found.metrics[i].second);
  say(fmt::format("{:<7}{}", name, shown));
}

void run_prune(const PruneArguments& o) {
  check_prune(o);
  o.threads.apply();
  catch_interrupts(alone());
  const BertConfig config = load_config(ModelFiles::open(o.model));
  refuse_frozen_classifier(config, o.model);
  AtomicFolder folder(o.output);
  const Path rounds = folder.path() / "rounds";
  const Path model = o.cuts() ? prune(o, config, rounds) : Path(o.model);
  std::vector<int32_t> pieces;
  if (!o.vocabulary.empty()) pieces = pieces_for(o.model, o.vocabulary, o.min_count);
  write_pruned(model, folder.path(), whole_structure(load_config(ModelFiles::open(model))), pieces);
  std::filesystem::remove_all(rounds);
  const BertConfig pruned = load_config(ModelFiles::open(folder.path()));
  constexpr int64_t kRuns = 9;
  const std::vector<Path> both = {o.model, folder.path()};
  const std::vector<Workload> pass = {
      {std::vector<int64_t>(static_cast<size_t>(o.latency.batch), o.latency.length), o.latency.batch}};
  const ProcessorWait wait;
  const auto seconds = time_models(both, pass, kRuns);
  const double before = seconds[0][0], after = seconds[1][0];
  const double old_size = static_cast<double>(model_size(o.model).bytes) / 1e6,
               new_size = static_cast<double>(model_size(folder.path()).bytes) / 1e6;
  const double old_count = config.parameter_elements(), new_count = pruned.parameter_elements();
  say(fmt::format("heads/neurons by layer: {} -> {}{}", shape_text(config), shape_text(pruned),
                  config.hidden_size == pruned.hidden_size
                      ? ""
                      : fmt::format(", hidden width {} -> {}", config.hidden_size, pruned.hidden_size)));
  say(fmt::format(
      "parameters {} -> {} ({:.1f} %), weights {:.1f} -> {:.1f} MB, {} x {} tokens {:.1f} -> {:.1f} ms "
      "({:.2f} times as fast)",
      grouped(static_cast<int64_t>(old_count)), grouped(static_cast<int64_t>(new_count)), 100 * new_count / old_count,
      old_size, new_size, o.latency.batch, o.latency.length, 1e3 * before, 1e3 * after, before / after));
  say_if_busy(wait);
  JsonLine line;
  line.begin_object().member("model", o.output).member("parameters", static_cast<int64_t>(new_count));
  line.member("parameters_before", static_cast<int64_t>(old_count)).member("megabytes", new_size);
  line.member("megabytes_before", old_size).member("seconds", after).member("seconds_before", before);
  if (!o.dev.empty()) {
    say_metrics(o, o.model, "before", line);
    say_metrics(o, folder.path(), "after", line);
  }
  folder.commit();
  say(fmt::format("done: the pruned model is in {}{}", o.output,
                  o.cuts() && o.recover_epochs == 0
                      ? "; fine-tune it again to recover what it lost: cloze finetune --model " + o.output + " …"
                      : ""));
  write_out(line.end_object().take() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_prune(CLI::App& app) {
  auto options = std::make_shared<PruneArguments>();
  options->add(app);
  app.add_option("--keep", options->keep, "shares that stay: heads=0.5,ffn=0.4,layers=0.5,hidden=0.75, any of them");
  app.add_option("--target-speedup", options->target_speedup,
                 "take out what costs least until the encoder is so many times as fast on this machine");
  app.add_option("--target-latency", options->target_latency,
                 "the same until --batch rows of --length tokens take so long, e.g. 8ms");
  app.add_option("--target-size", options->target_size, "the same until the weights take so much, e.g. 20MB");
  app.add_option(
      "--sparsity", options->sparsity,
      "zeros in place of the smallest weights instead (with --importance movement: of those that move towards "
      "zero), such a share of each product of the encoder");
  app.add_flag(
      "--zero-blocks", options->zero_blocks,
      "zeros of --sparsity in blocks of four outputs of one input: faster than single ones, from fewer zeros on");
  app.add_flag("--gradual", options->gradual, "with --recover: train again after each round, not once at the end");
  app.add_option("--max-drop", options->max_drop,
                 "stop at the last round that loses at most so many points of 100 on --dev; with --recover each round "
                 "is trained again first");
  return [options] { run_prune(*options); };
}

}  // namespace cloze::cli
