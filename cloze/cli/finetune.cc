#include "cloze/base/fields.h"
#include "cloze/base/profile.h"
#include "cloze/base/temporary_folder.h"
#include "cloze/base/thread_team.h"
#include "cloze/cli/command.h"
#include "cloze/cli/finetune_adapt.h"
#include "cloze/cli/finetune_frozen.h"
#include "cloze/cli/finetune_source.h"
#include "cloze/cli/job.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/cli/training_run.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"
#include "cloze/task/class_labels.h"
#include "cloze/train/same_start.h"
#include "cloze/train/seeds.h"
#include "cloze/transfer/ensemble.h"

namespace cloze::cli {
namespace {

struct FinetuneArguments {
  Source source;
  TrainOptions train;
  TableFlags table;
  ThreadsOption threads;
  ProfileFlag profile;
  RunFlags flags;
  FrozenFlags frozen;
  AdaptFlags adapt;
  int64_t seeds = 1;
};

Json finetune_record(const FinetuneArguments& options) {
  Json run = Json::object();
  run["cloze"] = CLOZE_VERSION;
  for (const Json& part :
       {fields_to_json(options.source), fields_to_json(options.train), fields_to_json(options.train.tuning)})
    for (const auto& [key, value] : part.items()) run[key] = value;
  const TableFlags& t = options.table;
  run["table"] = {{"format", t.format}, {"text", t.text},           {"text_pair", t.text_pair},
                  {"label", t.label},   {"no_header", t.no_header}, {"invalid_utf8", t.invalid_utf8}};
  if (!options.frozen.options.features.empty()) run["features"] = options.frozen.options.features;
  run["threads"] = thread_team().size();
  run.update(options.adapt.record());
  return run;
}

std::unique_ptr<TrainingTask> make_task(const FinetuneArguments& options, int64_t seed) {
  const ProfilePhase phase("load");
  TrainingSource source = resolve(options.source, options.table, seed);
  std::optional<TemporaryFolder> start;
  if (options.source.keep_layers > 0) {
    start.emplace("cloze-layers");
    write_layers(source.model, start->path() / "model", options.source.keep_layers);
    source.model = (start->path() / "model").string();
  }
  options.frozen.join_features(source);
  add_teacher(options.source.teacher, source);
  return find_training_task(options.source.task).train(source);
}

TrainResult run_one(const FinetuneArguments& options, int64_t seed, const Path& output, Watcher& watcher,
                    Communicator& communicator) {
  FinetuneArguments own = options;
  own.train.seed = seed;
  return run_training([&] { return make_task(options, seed); }, own.train, finetune_record(own), options.flags, output,
                      watcher, communicator);
}

void run_seeds(const FinetuneArguments& options, Communicator& communicator) {
  // The best model of all goes there in the end.
  if (communicator.rank() == 0) check_output(options.flags.output, options.flags.start());
  Watcher watcher;
  const auto run_seed = [&](int64_t seed, const Path& folder) {
    say(fmt::format("\n== seed {} ({} of {})", seed, seed - options.train.seed + 1, options.seeds));
    watcher.next_run();
    return run_one(options, seed, folder, watcher, communicator);
  };
  const SeedSummary summary =
      train_seeds(options.flags.output, options.train.seed, options.seeds, run_seed, communicator);
  say(
      fmt::format("\n{} seeds: mean ± standard deviation on the dev rows\n{}done in {}: the model of seed {} is in {}, "
                  "the figures in {}",
                  options.seeds, summary.text(), clock_text(watcher.seconds()), summary.seeds[summary.best],
                  options.flags.output, (Path(options.flags.output) / kSeedsFile).string()));
}

void fit_on_frozen(const FinetuneArguments& options, Communicator& communicator) {
  CLOZE_CHECK(communicator.size() == 1, ErrorCode::kUsage, "--encoder frozen runs in one process");
  CLOZE_CHECK(options.source.task == "text-classification", ErrorCode::kUsage,
              "--encoder frozen is for --task text-classification, not {}", options.source.task);
  const TrainingSource source = resolve(options.source, options.table, options.train.seed);
  Json record = finetune_record(options);
  const Json unused = fields_to_json(TrainOptions()), used = fields_to_json(options.frozen.options);
  for (const auto& [name, value] : unused.items())
    if (name != "seed") record.erase(name);
  record["encoder"] = "frozen";
  record.update(used);
  run_frozen(source, options.frozen, options.flags, std::move(record));
}

/// The options as they are once the model is adapted: with what came of it as the model to start from.
FinetuneArguments adapted(const FinetuneArguments& options, bool frozen, Communicator& communicator) {
  CLOZE_CHECK(!options.source.model.empty(), ErrorCode::kUsage,
              "--adapt goes on with a pretrained model: give --model");
  if (communicator.rank() == 0) check_output(options.flags.output, options.flags.start());
  // A mistake in the labelled rows is better found before the texts are read for hours.
  if (frozen) {
    const TrainingSource source = resolve(options.source, options.table, options.train.seed);
    ExampleOptions labelled = source.examples;
    labelled.columns.label_need = Need::kRequired;
    collect_labels(read_all(source.train, labelled).rows, source.train.string());
  } else {
    (void)make_task(options, options.train.seed);
  }
  FinetuneArguments own = options;
  Watcher watcher;
  own.source.model = adapt_model(options.adapt, options.source.model, options.table, options.train, options.flags,
                                 watcher, communicator)
                         .string();
  return own;
}

void run_finetune(const FinetuneArguments& given, const CLI::App& app, Communicator& communicator) {
  given.flags.check();
  given.threads.apply(communicator);
  const bool frozen = given.frozen.frozen(app);
  if (!frozen) {
    given.train.check();
    check_passes(communicator, given.train);
  }
  given.adapt.check(app);
  catch_interrupts(communicator);
  for (const auto& [option, model] : {std::pair{"--model", &given.source.model}, {"--teacher", &given.source.teacher}})
    refuse_same_folder(given.flags.output, option, *model);
  const bool adapts = given.adapt.asked() && !given.flags.dry_run;
  const FinetuneArguments options = adapts ? adapted(given, frozen, communicator) : given;
  if (frozen) return fit_on_frozen(options, communicator);
  if (options.flags.dry_run) {
    constexpr int64_t kRows = 3;
    if (communicator.rank() == 0)
      rehearse([&] { return make_task(options, options.train.seed); }, options.train, finetune_record(options), kRows);
    return;
  }
  if (options.seeds != 1) return run_seeds(options, communicator);
  Watcher watcher;
  const TrainResult result = run_one(options, options.train.seed, options.flags.output, watcher, communicator);
  say_result(result, options.train, options.flags, watcher, "give --dev to keep the best ones");
}

/// The student of `distill`: by default every second layer of its teacher, of several the first one.
void choose_student(Source& source) {
  if (source.from_scratch) {
    if (source.vocab.empty()) source.vocab = single_models(source.teacher).front().string();
    return;
  }
  if (!source.model.empty()) return;
  source.model = single_models(source.teacher).front().string();
  if (source.keep_layers == 0)
    source.keep_layers = std::max<int64_t>(1, load_config(ModelFiles::open(source.model)).num_hidden_layers / 2);
}

std::shared_ptr<FinetuneArguments> add_options(CLI::App& app) {
  auto options = std::make_shared<FinetuneArguments>();
  FieldBinder binder(app);
  options->source.visit(binder);
  app.get_option("--train")->required();
  options->adapt.add(app);
  options->flags.add(app);
  options->train.visit(binder);
  options->train.tuning.visit(binder);
  options->frozen.add(app);
  app.add_option("--seeds", options->seeds, "train with so many seeds, --seed and the next ones; keep the best model")
      ->capture_default_str();
  options->table.add(app, TableFlags::Labels::kOffer, "refuse");
  options->threads.add(app);
  options->profile.add(app);
  return options;
}

std::function<void()> in_job(const std::shared_ptr<FinetuneArguments>& options, const CLI::App& app) {
  return [options, &app] {
    run_in_job(
        [&](Communicator& communicator) { options->profile.run([&] { run_finetune(*options, app, communicator); }); });
  };
}

}  // namespace

std::function<void()> setup_finetune(CLI::App& app) {
  const auto options = add_options(app);
  app.get_option("--task")->required();
  return in_job(options, app);
}

std::function<void()> setup_distill(CLI::App& app) {
  const auto options = add_options(app);
  app.get_option("--teacher")->required();
  app.get_option("--model")->description("the student, if it is a model already; default: the teacher, --keep-layers");
  app.get_option("--keep-layers")
      ->description("start from so many of the teacher's layers, evenly spread; 0: half of them");
  options->source.task = "text-classification";
  app.get_option("--task")->description("text-classification");
  return [options, work = in_job(options, app)] {
    choose_student(options->source);
    work();
  };
}

}  // namespace cloze::cli
