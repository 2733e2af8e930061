#include <algorithm>
#include <cmath>

#include "cloze/base/atomic_folder.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"
#include "cloze/cli/prune_work.h"
#include "cloze/cli/training_run.h"
#include "cloze/compress/front.h"
#include "cloze/compress/prune_rounds.h"
#include "cloze/compress/quantize.h"
#include "cloze/compress/tries.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"
#include "cloze/train/communicator.h"

namespace cloze::cli {
namespace {

struct CompressArguments : PruneFlags {
  FrontGoal goal;
  int64_t steps = 3;
  std::string rest = "f16";
  bool no_int8 = false, resume = false;

  CompressArguments() {
    rounds = 2;
    recover_epochs = 1;
    latency.batch = 32;
    latency.length = 64;
  }
};

void check_compress(const CompressArguments& o) {
  CLOZE_CHECK(std::isfinite(o.goal.speedup) && o.goal.speedup > 1 && o.goal.speedup <= 1000, ErrorCode::kUsage,
              "--speedup must be above 1, got {}", o.goal.speedup);
  CLOZE_CHECK(o.goal.max_drop >= 0 && o.goal.max_drop <= 100, ErrorCode::kUsage,
              "--max-drop is in points of 100, got {}", o.goal.max_drop);
  CLOZE_CHECK(o.steps >= 1 && o.steps <= 20, ErrorCode::kUsage, "--steps must be 1 to 20, got {}", o.steps);
  parse_float_type(o.rest, "--rest");
  o.PruneFlags::check();
}

/// What the models of a search depend on.
Json search_record(const CompressArguments& o) {
  Json run = record_of(o);
  run["speedup"] = o.goal.speedup;
  run["max_drop"] = o.goal.max_drop;
  run["steps"] = o.steps;
  run["int8"] = o.no_int8 ? "" : o.rest;
  return run;
}

/// The tries, one after another; each is measured at once, and all against the clock together at the end.
class Search {
 public:
  Search(const CompressArguments& o, Tries& tries) : o_(o), tries_(tries), folder_(tries.folder()) {}

  std::vector<Candidate> go() {
    add("whole", o_.model);
    Path model = o_.model;
    if (!o_.vocabulary.empty()) {
      const Path next = folder_ / "pieces";
      write_pruned(model, next, whole_structure(config_of(model)), pieces_for(model, o_.vocabulary, o_.min_count));
      model = next;
      add("pieces", model);
    }
    if (!o_.no_int8) add_int8("int8", model);
    // What pruning has to bring beside what is there already.
    if (tries_.ended() == 0) tries_.set_wanted(std::max(1.2, o_.goal.speedup / speed_now()));
    double reached = 1;
    for (int64_t step = 1; step <= kMostSteps * o_.steps; ++step) {
      const double factor = std::pow(tries_.wanted(), static_cast<double>(step) / static_cast<double>(o_.steps));
      say(fmt::format("[{}/{}] {:.2f} times as fast by pruning", step, std::max(step, o_.steps), factor));
      end_if_interrupted();
      if (step > tries_.ended()) {
        if (!prune(model, factor / reached, step)) break;
        tries_.end_step();
      } else {
        say("  is there already");
      }
      reached = factor;
      model = tries_.step(step);
      const std::string name = fmt::format("{:.1f}x", factor);
      add(name, model);
      if (!o_.no_int8) add_int8(name + " int8", model);
      if (step < tries_.ended()) continue;  // a stopped search has gone on from here
      constexpr double kHopeless = 3;       // as many times the drop that is allowed, and a point
      if (gain_of(all_[0], all_.back()) < -kHopeless * o_.goal.max_drop - 1) {
        say("  too much is lost: what is smaller yet is not tried");
        break;
      }
      if (speed_now() >= o_.goal.speedup) break;
    }
    end_if_interrupted();
    time_all();
    return std::move(all_);
  }

 private:
  static void end_if_interrupted() {
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
  }
  static BertConfig config_of(const Path& model) { return load_config(ModelFiles::open(model)); }

  void add(const std::string& name, const Path& model) {
    Candidate c;
    c.name = name;
    c.folder = model;
    c.shape = shape_text(config_of(model));
    c.size = model_size(model);
    c.judged = judge(model, "", o_.dev, o_.table.resolve());
    const auto& [metric, value] = c.judged.headline();
    say(fmt::format("  {:<14} {} {:.4f}  {:.1f} MB  {}", name, metric, value, static_cast<double>(c.size.bytes) / 1e6,
                    c.shape));
    all_.push_back(std::move(c));
    end_if_interrupted();
  }

  void add_int8(const std::string& name, const Path& model) {
    const Path next = folder_ / fmt::format("int8-{}", all_.size());
    write_quantized(model, next, {int8_parts(config_of(model)), parse_float_type(o_.rest, "--rest")});
    add(name, next);
  }

  /// How many times as fast the latest model is.
  double speed_now() const { return time_beside(all_[0].folder, all_.back().folder, workloads().front(), kRuns); }

  /// The step's model: `factor` times as fast as this one, and trained again. False where nothing is left to go.
  bool prune(const Path& model, double factor, int64_t step) {
    const Path next = tries_.step(step);
    PruneWork work;
    work.folder = folder_ / fmt::format("rounds-{}", step);
    work.say = [](const std::string& line) { say("  " + line); };
    work.weigh = [&](const Path& now, const BertConfig& config, const std::string& round) {
      return weigh(o_, now, config, round);
    };
    const PruneGoal goal{PruneGoal::Of::kSeconds, {}, factor, o_.rounds, o_.latency};
    Path pruned = model;
    try {
      pruned = prune_in_rounds(model, goal, work);
    } catch (const OutOfReach& error) {
      say(std::string("  ") + error.what());
      return false;
    }
    if (pruned == model) return false;
    if (o_.recover_epochs > 0)
      train_again(o_, pruned, next, "");
    else
      std::filesystem::rename(pruned, next);
    return true;
  }

  std::vector<Workload> workloads() const {
    return {{std::vector<int64_t>(static_cast<size_t>(o_.latency.batch), o_.latency.length), o_.latency.batch}};
  }

  void time_all() {
    std::vector<Path> folders;
    for (const Candidate& c : all_) folders.push_back(c.folder);
    const ProcessorWait wait;
    const auto seconds = time_models(folders, workloads(), kRuns);
    say_if_busy(wait);
    for (size_t i = 0; i < all_.size(); ++i) all_[i].seconds = seconds[i][0];
  }

  /// Steps beyond those asked for, as many times: 8 bits bring less to narrow layers.
  static constexpr int64_t kMostSteps = 3;
  static constexpr int64_t kRuns = 9;
  const CompressArguments& o_;
  Tries& tries_;
  const Path folder_;
  std::vector<Candidate> all_;
};

/// Where it is stopped after a step, what it has tried stays.
std::vector<Candidate> search(const CompressArguments& o, Tries& tries) {
  try {
    return Search(o, tries).go();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInterrupted || tries.ended() == 0) throw;
    fail(ErrorCode::kInterrupted, "stopped; {} holds what was tried: the same command with --resume goes on",
         tries.folder().string());
  }
}

void run_compress(const CompressArguments& o) {
  check_compress(o);
  o.threads.apply();
  catch_interrupts(alone());
  const BertConfig config = load_config(ModelFiles::open(o.model));
  refuse_frozen_classifier(config, o.model);
  check_data(o, config);
  AtomicFolder folder(o.output);  // first: a name that is taken must not wait for the search
  Tries tries(folder.target().string() + ".tries", search_record(o),
              o.resume ? Tries::Start::kResume : Tries::Start::kFresh);
  const std::vector<Candidate> all = search(o, tries);
  const Candidate& best = choose(all, o.goal);
  say("\n" + front_table(all, o.goal) + "\n" + reason(all, o.goal));
  copy_model_files(best.folder, folder.path());
  write_file(
      folder.path() / "report.html",
      front_page(all, o.goal,
                 fmt::format("{}, compressed", (Path(o.model) / "config.json").parent_path().filename().string()),
                 fmt::format("{} rows of {} tokens", o.latency.batch, o.latency.length)));
  for (const Candidate& c : all) write_out(candidate_line(all, c, o.goal) + "\n");
  folder.commit();
  tries.remove();
  say(fmt::format("done: the model is in {0}, the front in {0}/report.html", o.output));
  flush_out();
}

}  // namespace

std::function<void()> setup_compress(CLI::App& app) {
  auto options = std::make_shared<CompressArguments>();
  options->add(app);
  for (const char* name : {"--data", "--dev"}) app.get_option(name)->required();
  app.add_option("--speedup", options->goal.speedup, "how many times as fast on this machine")->capture_default_str();
  app.add_option("--max-drop", options->goal.max_drop, "points of 100 that may be lost on --dev")
      ->capture_default_str();
  app.add_option("--steps", options->steps, "models tried on the way, each pruned from the one before")
      ->capture_default_str();
  app.add_option("--rest", options->rest, "how models in 8 bits store their other numbers: f32, f16, bf16")
      ->capture_default_str();
  app.add_flag("--no-int8", options->no_int8, "no weights in 8 bits");
  app.add_flag("--resume", options->resume, "go on with a stopped run, from the last step that ended");
  return [options] { run_compress(*options); };
}

}  // namespace cloze::cli
