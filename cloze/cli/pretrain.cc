#include "cloze/base/fields.h"
#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"
#include "cloze/base/thread_team.h"
#include "cloze/cli/cache_folder.h"
#include "cloze/cli/command.h"
#include "cloze/cli/job.h"
#include "cloze/cli/options.h"
#include "cloze/cli/pretrain_teacher.h"
#include "cloze/cli/profile.h"
#include "cloze/cli/scratch_model.h"
#include "cloze/cli/training_run.h"
#include "cloze/task/pretraining.h"
#include "cloze/train/run_state.h"
#include "cloze/train/same_start.h"
#include "cloze/train/sampler.h"

namespace cloze::cli {
namespace {

/// What the run is about; the fields go into run.json, and a resumed run must have the same.
struct PretrainSource {
  std::string model, vocab;
  bool cased = false;
  ScratchModel scratch;
  PretrainTeacher teacher;
  std::string objective = "mlm,nsp", documents = "blank-line", words = "whole", weights_type = "f32", start = "counts";
  int64_t max_length = 128, evaluation_rows = 1024;
  double short_rate = 0.1, mask_rate = 0.15, mask_share = 0.8, random_share = 0.1, heldout = 0.005, dropout = -1;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("model", model, "model directory to go on from");
    visitor("vocab", vocab, "from scratch: vocab.txt, or a model directory whose tokenizer to take");
    visitor("cased", cased, "with a vocab.txt: keep upper case and accents");
    visitor("size", scratch.size, "from scratch: tiny, mini, small, medium, base or large");
    visitor("layers", scratch.layers, "from scratch: encoder layers, instead of the size's");
    visitor("hidden", scratch.hidden, "from scratch: hidden width, instead of the size's");
    visitor("heads", scratch.heads, "from scratch: attention heads, instead of hidden / 64");
    visitor("intermediate", scratch.intermediate, "from scratch: feed-forward width, instead of 4 x hidden");
    visitor("start", start,
            "from scratch: counts (words, positions and some attention from counted neighbours), or random");
    visitor("objective", objective, "mlm (masked words), mlm,nsp (and next sentence) or mlm,sop (and sentence order)");
    visitor("documents", documents, "where documents end: blank-line, or line (each line is one)");
    visitor("max_length", max_length, "tokens a row");
    visitor("short_rate", short_rate, "share of rows of a random shorter length");
    visitor("mask_rate", mask_rate, "share of tokens to be predicted");
    visitor("mask_share", mask_share, "of these, shown as [MASK]");
    visitor("random_share", random_share, "of these, shown as a random token");
    visitor("mask_words", words, "whole (all pieces of a word, Chinese words by dictionary), or pieces");
    visitor("heldout", heldout, "share of the documents kept for evaluation");
    visitor("evaluation_rows", evaluation_rows, "held-out rows that an evaluation takes, at most");
    visitor("dropout", dropout, "of this training; the saved model keeps its own; -1: the model's");
    visitor("weights_type", weights_type, "how the model's weights are saved: f32, or f16 in half the size");
    teacher.visit(visitor);
  }
};

struct PretrainArguments {
  PretrainSource source;
  std::vector<std::string> corpora;
  std::vector<double> weights;
  std::string cache_dir;
  TrainOptions train;
  RunFlags flags;
  ThreadsOption threads;
  ProfileFlag profile;
  int64_t show_batch = 0;
};

bool is_one_of(const char* option, const std::string& value, const char* yes, const char* no) {
  CLOZE_CHECK(value == yes || value == no, ErrorCode::kUsage, "{} must be {} or {}, got \"{}\"{}", option, yes, no,
              value, did_you_mean(value, {yes, no}));
  return value == yes;
}

/// What can be said before gigabytes of text are tokenized.
void check_pretrain(const PretrainArguments& options) {
  const PretrainSource& s = options.source;
  CLOZE_CHECK(s.model.empty() != s.vocab.empty(), ErrorCode::kUsage, "{}",
              s.model.empty() ? "where to start from? Give --model DIR, or --vocab FILE for a model from random weights"
                              : "--model brings its own vocabulary: --vocab goes without it");
  CLOZE_CHECK(s.model.empty() || (!s.scratch.given() && !s.cased), ErrorCode::kUsage,
              "--size, --layers, --hidden, --heads, --intermediate and --cased go without --model only");
  CLOZE_CHECK(options.weights.empty() || options.weights.size() == options.corpora.size(), ErrorCode::kUsage,
              "--weights needs one number for each --corpus: there are {} and {}", options.weights.size(),
              options.corpora.size());
  for (const double weight : options.weights)
    CLOZE_CHECK(weight > 0 && weight <= 1e6, ErrorCode::kUsage, "--weights must be above 0 and at most 1e6, got {}",
                weight);
  CLOZE_CHECK(s.max_length >= 8, ErrorCode::kUsage, "--max-length of pretraining must be at least 8, got {}",
              s.max_length);
  CLOZE_CHECK(s.short_rate >= 0 && s.short_rate <= 1, ErrorCode::kUsage, "--short-rate must be 0 to 1, got {}",
              s.short_rate);
  CLOZE_CHECK(s.heldout >= 0 && s.heldout <= 0.5, ErrorCode::kUsage, "--heldout must be 0 to 0.5, got {}", s.heldout);
  CLOZE_CHECK(options.train.patience == 0 || s.heldout > 0, ErrorCode::kUsage,
              "--patience needs held-out rows: --heldout must be above 0");
  CLOZE_CHECK(s.dropout == -1 || (s.dropout >= 0 && s.dropout < 1), ErrorCode::kUsage,
              "--dropout must be 0 or more and below 1, or -1 for the model's, got {}", s.dropout);
  CLOZE_CHECK(parse_batching(options.train.batching) == Batching::kShuffled, ErrorCode::kUsage,
              "--batching of pretraining is shuffled: its rows are of about one length");
  CLOZE_CHECK(s.evaluation_rows >= 1, ErrorCode::kUsage, "--evaluation-rows must be at least 1, got {}",
              s.evaluation_rows);
  (void)s.teacher.resolve();
}

PretrainingOptions pretraining_options(const PretrainArguments& options, const Path& cache_dir) {
  const PretrainSource& s = options.source;
  PretrainingOptions result;
  result.model = s.model;
  result.vocab = s.vocab;
  result.cased = s.cased;
  if (s.model.empty()) result.scratch_config = scratch_config(s.scratch);
  result.corpora.assign(options.corpora.begin(), options.corpora.end());
  result.weights = options.weights;
  result.cache_dir = cache_dir;
  const bool whole = is_one_of("--mask-words", s.words, "whole", "pieces");
  result.cache = {.form = parse_document_form(s.documents), .chinese_words = whole};
  result.rows.max_length = s.max_length;
  result.rows.objective = parse_objective(s.objective);
  result.rows.short_rate = s.short_rate;
  result.rows.heldout_share = s.heldout;
  result.rows.seed = static_cast<uint64_t>(options.train.seed);
  result.masking = {
      .rate = s.mask_rate, .mask_share = s.mask_share, .random_share = s.random_share, .whole_words = whole};
  result.evaluation_rows = s.evaluation_rows;
  result.dropout = s.dropout;
  result.start = is_one_of("--start", s.start, "counts", "random") ? PretrainingOptions::Start::kCounts
                                                                   : PretrainingOptions::Start::kRandom;
  result.half_width = is_one_of("--weights-type", s.weights_type, "f16", "f32");
  result.teacher = s.teacher.resolve();
  return result;
}

Json pretrain_record(const PretrainArguments& options) {
  Json run = Json::object();
  run["cloze"] = CLOZE_VERSION;
  for (const Json& part : {fields_to_json(options.source), fields_to_json(options.train)})
    for (const auto& [key, value] : part.items()) run[key] = value;
  run["corpus"] = options.corpora;
  run["weights"] = options.weights;
  run["threads"] = thread_team().size();
  return run;
}

/// Says how far a token cache is; ends it where the user asks for that (a process by itself: others would wait).
class CacheWatcher {
 public:
  explicit CacheWatcher(const Communicator& communicator) : stoppable_(communicator.size() == 1) {}
  void operator()(const Path& corpus, int64_t bytes) {
    if (stoppable_ && interrupted())
      fail(ErrorCode::kInterrupted, "stopped while tokenizing {}; the same command starts that file over",
           corpus.string());
    const auto now = std::chrono::steady_clock::now();
    if (now - said_ < std::chrono::seconds(5)) return;
    said_ = now;
    say(fmt::format("tokenizing {}: {} MB", corpus.string(), grouped(bytes / 1'000'000)));
  }

 private:
  bool stoppable_;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

void run_pretrain(const PretrainArguments& options, Communicator& communicator) {
  CLOZE_CHECK(options.show_batch >= 0, ErrorCode::kUsage, "--show-batch must not be negative, got {}",
              options.show_batch);
  const bool rehearsal = options.show_batch > 0 || options.flags.dry_run;
  if (!rehearsal) options.flags.check();
  CLOZE_CHECK(!rehearsal || communicator.size() == 1, ErrorCode::kUsage,
              "--show-batch and --dry-run are for one process");
  options.threads.apply(communicator);
  options.train.check();
  check_passes(communicator, options.train);
  refuse_same_folder(options.flags.output, "--model", options.source.model);
  check_pretrain(options);
  catch_interrupts(communicator);
  const CacheFolder cache(options.cache_dir, options.flags.output, rehearsal);
  PretrainingOptions resolved = pretraining_options(options, cache.path());
  // Counting takes a while, and in vain where the weights are replaced or none are needed.
  if (rehearsal || (options.flags.resume && std::filesystem::exists(Path(options.flags.output) / kResumeFile)))
    resolved.start = PretrainingOptions::Start::kLater;
  const auto make_task = [&] {
    const ProfilePhase phase("load");
    CacheWatcher watcher(communicator);
    // One process builds the caches, then the others map them.
    if (communicator.rank() != 0) share_text(communicator, "");
    auto task = make_pretraining(resolved, [&](const Path& corpus, int64_t bytes) { watcher(corpus, bytes); });
    if (communicator.rank() == 0) share_text(communicator, "built");
    return task;
  };
  constexpr int64_t kRows = 3;
  if (rehearsal) {
    rehearse(make_task, options.train, pretrain_record(options), options.show_batch > 0 ? options.show_batch : kRows);
    if (!cache.is_temporary()) say(fmt::format("but for the corpus's tokens, in {}", cache.path().string()));
    return;
  }
  Watcher watcher;
  const TrainResult result = run_training(make_task, options.train, pretrain_record(options), options.flags,
                                          options.flags.output, watcher, communicator);
  say_result(result, options.train, options.flags, watcher,
             "none are held out to choose better ones by, see --heldout");
}

}  // namespace

std::function<void()> setup_pretrain(CLI::App& app) {
  auto options = std::make_shared<PretrainArguments>();
  TrainOptions& train = options->train;
  train.epochs = 1;
  train.batch_size = 64;
  train.learning_rate = 2e-4;  // borne by base models and onward training too; mini ones from scratch take 1e-3
  train.warmup_ratio = 0.05;
  train.adam_beta2 = 0.98;
  train.adam_epsilon = 1e-6;
  train.eval_steps = 1000;
  FieldBinder binder(app);
  app.add_option("--corpus", options->corpora, "text files, .gz too")->required();
  app.add_option("--weights", options->weights, "how often each corpus counts relative to its size; default 1 each");
  options->source.visit(binder);
  app.add_option("--cache-dir", options->cache_dir, "folder for the corpora's tokens (default: OUTPUT/cache)");
  app.add_option("--show-batch", options->show_batch, "a --dry-run that shows so many rows, as the model sees them");
  options->flags.add(app);
  options->train.visit(binder);
  options->threads.add(app);
  options->profile.add(app);
  return [options] {
    run_in_job(
        [&](Communicator& communicator) { options->profile.run([&] { run_pretrain(*options, communicator); }); });
  };
}

}  // namespace cloze::cli
