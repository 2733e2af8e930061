#include "cloze/cli/finetune_frozen.h"

#include <set>

#include "cloze/base/fields.h"
#include "cloze/base/folder_lock.h"
#include "cloze/base/suggest.h"
#include "cloze/train/options.h"
#include "cloze/train/output_folder.h"
#include "cloze/train/run_state.h"
#include "cloze/transfer/row_features.h"

namespace cloze::cli {
namespace {

/// Collects the options' names as FieldBinder gives them.
struct NameCollector {
  std::set<std::string> names;
  template <class T>
  void operator()(const char* name, T&, const char*) {
    std::string option = std::string("--") + name;
    std::replace(option.begin(), option.end(), '_', '-');
    names.insert(option);
  }
};

/// The first of `names` that was given; empty if none was.
std::string first_given(const CLI::App& app, const std::set<std::string>& names) {
  for (const std::string& name : names)
    if (app.get_option_no_throw(name) != nullptr && app.get_option(name)->count() > 0) return name;
  return "";
}

}  // namespace

void FrozenFlags::add(CLI::App& app) {
  app.add_option("--encoder", encoder,
                 "trained: all weights learn; frozen: the encoder stays as it is, and a classifier is fitted on its "
                 "vectors, in seconds")
      ->capture_default_str();
  FieldBinder binder(app);
  options.visit(binder);
}

bool FrozenFlags::frozen(const CLI::App& app) const {
  CLOZE_CHECK(encoder == "trained" || encoder == "frozen", ErrorCode::kUsage,
              "--encoder must be trained or frozen, got \"{}\"{}", encoder,
              did_you_mean(encoder, {"trained", "frozen"}));
  NameCollector own, other;
  FrozenOptions frozen_options;
  frozen_options.visit(own);
  TrainOptions train_options;
  train_options.visit(other);
  train_options.tuning.visit(other);
  other.names.erase("--seed");
  other.names.insert({"--seeds", "--resume", "--checkpoint-steps", "--tensorboard", "--from-scratch", "--dropout",
                      "--label-smoothing", "--teacher", "--teacher-weight", "--temperature", "--r-drop",
                      "--keep-layers", "--vocab", "--size"});
  // Adapting goes on where it was stopped; the classifier is then fitted anew.
  if (app.get_option_no_throw("--adapt") != nullptr && app.get_option("--adapt")->count() > 0)
    other.names.erase("--resume");
  for (const char* shared : {"--features", "--feature-cache"}) own.names.erase(shared);
  const bool is_frozen = encoder == "frozen";
  const std::string wrong = first_given(app, is_frozen ? other.names : own.names);
  CLOZE_CHECK(wrong.empty(), ErrorCode::kUsage, "{}",
              is_frozen ? wrong + " belongs to training the encoder, which --encoder frozen leaves as it is"
                        : wrong + " goes with --encoder frozen only");
  CLOZE_CHECK(is_frozen || options.feature_cache.empty() || !options.features.empty(), ErrorCode::kUsage,
              "--feature-cache keeps what a frozen encoder computes: it goes with --encoder frozen, or with --features "
              "encoder=DIR");
  return is_frozen;
}

void FrozenFlags::join_features(TrainingSource& source) const {
  if (options.features.empty()) return;
  std::vector<FeatureSpec> specs;
  for (const std::string& feature : options.features) specs.push_back(parse_feature(feature));
  source.number_columns = feature_columns(specs);
  source.fit_numbers = [specs, cache = options.feature_cache](std::span<const TextExample> rows,
                                                              const std::string& file) -> RowNumbersPtr {
    return std::make_shared<JoinedFeatures>(JoinedFeatures::fit(specs, {rows, file, cache}));
  };
}

void run_frozen(const TrainingSource& source, const FrozenFlags& frozen, const RunFlags& flags, Json record) {
  const Path output = flags.output;
  if (!flags.dry_run) check_output(output, flags.start());
  CLOZE_CHECK(!source.model.empty(), ErrorCode::kUsage, "--encoder frozen needs --model: random weights know nothing");
  Progress progress;
  const FrozenObserver observer{.say = [&](const std::string& line) { progress.clear(), say(line); },
                                .progress =
                                    [&](int64_t done, int64_t rows) {
                                      if (interrupted())
                                        fail(ErrorCode::kInterrupted,
                                             "stopped; vectors that were computed are kept in the cache");
                                      progress.update(done, rows, "rows read by the encoder");
                                    }};
  FrozenTraining training(source, frozen.options, observer);
  record["inputs"] = training.fingerprint();
  if (flags.dry_run) {
    say("dry run: nothing was written");
    write_out(dump_json(record));
    return flush_out();
  }
  const FrozenResult result = training.run();
  progress.clear();
  const ModelFiles files = ModelFiles::create(output);
  const FolderLock lock(output);
  if (flags.overwrite || flags.resume) remove_run(files);  // resumed is the adapting before it
  Json best = Json::object();
  for (const auto& [name, value] : result.dev.metrics) best["dev_" + name] = value;
  record["finished"] = {
      {"encode_seconds", result.encode_seconds},         {"fit_seconds", result.fit_seconds},
      {"vectors_cached", result.features.found},         {"vectors_computed", result.features.computed},
      {"classifier_numbers", result.classifier_numbers}, {"best", best}};
  files.write_json(kRunFile, record);
  training.save(files);
  if (!result.dev.text.empty()) say("\n" + result.dev.text);
  const std::string accuracy = result.dev.metrics.empty()
                                   ? "no dev rows were given"
                                   : fmt::format("dev accuracy {:.4f}", metric_value(result.dev.metrics, "accuracy"));
  say(
      fmt::format("done: vectors in {:.1f} s ({} read by the encoder, {} from the cache or repeated), classifier in "
                  "{:.2f} s; {}; the model is in {}",
                  result.encode_seconds, grouped(result.features.computed), grouped(result.features.found),
                  result.fit_seconds, accuracy, output.string()));
}

}  // namespace cloze::cli
