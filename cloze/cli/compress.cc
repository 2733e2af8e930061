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
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"
#include "cloze/train/communicator.h"

namespace cloze::cli {
namespace {

struct CompressArguments : PruneFlags {
  FrontGoal goal;
  int64_t steps = 3;
  bool no_int8 = false;

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
  o.PruneFlags::check();
}

/// The tries, one after another; each is measured at once, and all against the clock together at the end.
class Search {
 public:
  Search(const CompressArguments& o, Path folder) : o_(o), folder_(std::move(folder)) {}

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
    const double wanted = std::max(1.2, o_.goal.speedup / speed_now());
    double reached = 1;
    for (int64_t step = 1; step <= kMostSteps * o_.steps; ++step) {
      const double factor = std::pow(wanted, static_cast<double>(step) / static_cast<double>(o_.steps));
      say(fmt::format("[{}/{}] {:.2f} times as fast by pruning", step, std::max(step, o_.steps), factor));
      const Path next = prune(model, factor / reached, step);
      if (next == model) break;
      reached = factor;
      model = next;
      const std::string name = fmt::format("{:.1f}x", factor);
      add(name, model);
      if (!o_.no_int8) add_int8(name + " int8", model);
      constexpr double kHopeless = 3;  // as many times the drop that is allowed, and a point
      if (gain_of(all_[0], all_.back()) < -kHopeless * o_.goal.max_drop - 1) {
        say("  too much is lost: what is smaller yet is not tried");
        break;
      }
      if (speed_now() >= o_.goal.speedup) break;
    }
    time_all();
    return std::move(all_);
  }

 private:
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
    if (interrupted()) fail(ErrorCode::kInterrupted, "stopped; nothing was written");
  }

  void add_int8(const std::string& name, const Path& model) {
    const Path next = folder_ / fmt::format("int8-{}", all_.size());
    write_quantized(model, next, {int8_parts(config_of(model)), {}});
    add(name, next);
  }

  /// How many times as fast the latest model is.
  double speed_now() const {
    return time_beside(all_[0].folder, all_.back().folder, workloads().front(), kRuns);
  }

  /// `factor` times as fast as it is, and trained again; itself where nothing is left to go.
  Path prune(const Path& model, double factor, int64_t step) {
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
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kValue) throw;
      say(std::string("  ") + error.what());
      return model;
    }
    if (o_.recover_epochs == 0) return pruned;
    const Path trained = folder_ / fmt::format("step-{}", step);
    train_again(o_, pruned, trained, "");
    return trained;
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
  const Path folder_;
  std::vector<Candidate> all_;
};

void run_compress(const CompressArguments& o) {
  check_compress(o);
  o.threads.apply();
  catch_interrupts(alone());
  const BertConfig config = load_config(ModelFiles::open(o.model));
  refuse_frozen_classifier(config, o.model);
  check_data(o, config);
  AtomicFolder folder(o.output);
  const Path tries = folder.path() / "tries";
  const std::vector<Candidate> all = Search(o, tries).go();
  const Candidate& best = choose(all, o.goal);
  say("\n" + front_table(all, o.goal) + "\n" + reason(all, o.goal));
  copy_model_files(best.folder, folder.path());
  write_file(folder.path() / "report.html",
             front_page(all, o.goal, fmt::format("{}, compressed", Path(o.model).filename().string()),
                        fmt::format("{} rows of {} tokens", o.latency.batch, o.latency.length)));
  for (const Candidate& c : all) write_out(candidate_line(all, c, o.goal) + "\n");
  std::filesystem::remove_all(tries);
  folder.commit();
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
  app.add_flag("--no-int8", options->no_int8, "no weights in 8 bits");
  return [options] { run_compress(*options); };
}

}  // namespace cloze::cli
