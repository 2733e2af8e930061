#include "cloze/cli/finetune_adapt.h"

#include <algorithm>
#include <cctype>

#include "cloze/base/fields.h"
#include "cloze/base/profile.h"
#include "cloze/task/pretraining.h"
#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"

namespace cloze::cli {
namespace {

bool is_table(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const char* ending : {".tsv", ".csv", ".jsonl", ".json"})
    if (name.ends_with(ending)) return true;
  return false;
}

/// The texts of a table, one a line: what a corpus is made of.
void write_texts(const std::string& from, const ExampleOptions& examples, const Path& to) {
  const auto reader = ExampleReader::open(from, examples);
  AtomicFile file(to);
  TextExample row;
  while (reader->next(row)) {
    std::string line = row.text + (row.text_pair ? " " + *row.text_pair : "") + "\n";
    std::replace_if(
        line.begin(), line.end() - 1, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    file.write(line);
  }
  file.commit();
}

/// The corpora: the files themselves, or what tables hold, written into `folder` unless a resumed run has done so.
std::vector<Path> corpora_of(const AdaptFlags& adapt, const TableFlags& table, const Path& folder, bool resumes,
                             Communicator& communicator) {
  std::vector<Path> corpora;
  ExampleOptions examples = table.resolve();
  examples.columns.label_need = Need::kIgnored;
  examples.columns.label.clear();
  examples.table.invalid_utf8 = InvalidUtf8::kReplace;
  for (size_t i = 0; i < adapt.files.size(); ++i) {
    if (!is_table(adapt.files[i])) {
      corpora.emplace_back(adapt.files[i]);
      continue;
    }
    corpora.push_back(folder / fmt::format("texts-{}.txt", i + 1));
    if (communicator.rank() == 0 && !(resumes && std::filesystem::exists(corpora.back())))
      write_texts(adapt.files[i], examples, corpora.back());
  }
  return corpora;
}

}  // namespace

void AdaptFlags::add(CLI::App& app) {
  app.add_option("--adapt", files,
                 "first go on with pretraining (masked words) on these texts: a text a line, or the text columns of "
                 "tables, e.g. the training file itself");
  app.add_option("--adapt-documents", documents, "with --adapt: line (each line is one), or blank-line")
      ->capture_default_str();
  app.add_option("--adapt-epochs", epochs, "with --adapt: passes over its texts")->capture_default_str();
  app.add_option("--adapt-learning-rate", learning_rate, "with --adapt: highest learning rate")->capture_default_str();
  app.add_option("--adapt-max-length", max_length, "with --adapt: tokens a row")->capture_default_str();
  app.add_option("--adapt-mask-rate", mask_rate, "with --adapt: share of tokens to be predicted")
      ->capture_default_str();
}

void AdaptFlags::check(const CLI::App& app) const {
  for (const char* name :
       {"--adapt-documents", "--adapt-epochs", "--adapt-learning-rate", "--adapt-max-length", "--adapt-mask-rate"})
    CLOZE_CHECK(asked() || app.get_option(name)->count() == 0, ErrorCode::kUsage, "{} goes with --adapt only", name);
  CLOZE_CHECK(epochs >= 1, ErrorCode::kUsage, "--adapt-epochs must be at least 1, got {}", epochs);
  CLOZE_CHECK(max_length >= 8, ErrorCode::kUsage, "--adapt-max-length must be at least 8, got {}", max_length);
}

Json AdaptFlags::record() const {
  if (!asked()) return Json::object();
  return {{"adapt", files},
          {"adapt_documents", documents},
          {"adapt_epochs", epochs},
          {"adapt_learning_rate", learning_rate},
          {"adapt_max_length", max_length},
          {"adapt_mask_rate", mask_rate}};
}

Path adapt_model(const AdaptFlags& adapt, const std::string& model, const TableFlags& table, const TrainOptions& train,
                 const RunFlags& flags, Watcher& watcher, Communicator& communicator) {
  const Path folder = Path(flags.output) / "adapted";
  say(fmt::format("== adapting {} to the task's texts, into {}", model, folder.string()));
  if (communicator.rank() == 0) {
    check_output(folder, flags.start());
    make_folder(folder / "cache");
  }
  const bool resumes =
      flags.resume && (std::filesystem::exists(folder / kRunFile) || std::filesystem::exists(folder / kResumeFile));
  PretrainingOptions options;
  options.model = model;
  options.cache_dir = folder / "cache";
  options.cache = {.form = parse_document_form(adapt.documents), .chinese_words = true};
  options.rows.max_length = adapt.max_length;
  options.rows.objective = parse_objective("mlm");
  options.rows.heldout_share = 0.02;
  options.rows.seed = static_cast<uint64_t>(train.seed);
  options.masking.rate = adapt.mask_rate;
  options.masking.whole_words = true;
  TrainOptions own;
  own.epochs = adapt.epochs;
  own.learning_rate = adapt.learning_rate;
  own.seed = train.seed;
  own.precision = train.precision;
  own.adam_beta2 = 0.98;
  own.adam_epsilon = 1e-6;
  own.warmup_ratio = 0.06;
  const auto make_task = [&] {
    const ProfilePhase phase("load");
    // One process writes texts and caches, then the others map them.
    if (communicator.rank() != 0) share_text(communicator, "");
    options.corpora = corpora_of(adapt, table, folder, resumes, communicator);
    auto task = make_pretraining(options);
    if (communicator.rank() == 0) share_text(communicator, "built");
    return task;
  };
  Json record = fields_to_json(own);
  record["cloze"] = CLOZE_VERSION;
  record["model"] = model;
  record.update(adapt.record());
  const TrainResult result = run_training(make_task, own, std::move(record), flags, folder, watcher, communicator);
  if (result.was_complete) say(fmt::format("{} was adapted already", folder.string()));
  say("== the task itself");
  watcher.next_run();
  return folder;
}

}  // namespace cloze::cli
