#include "cloze/transfer/transfer_ways.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/base/suggest.h"

namespace cloze {

std::vector<TransferWay> transfer_ways() {
  const auto frozen = [](std::vector<std::string> more) {
    std::vector<std::string> options = {"--encoder", "frozen", "--classifier"};
    options.insert(options.end(), more.begin(), more.end());
    return options;
  };
  return {
      {"prototype", "frozen encoder, the nearest class mean", frozen({"prototype"}), false},
      {"knn", "frozen encoder, nearest neighbours", frozen({"knn"}), false},
      {"linear", "frozen encoder, logistic regression", frozen({"linear"}), false},
      {"svm", "frozen encoder, linear support vector machine", frozen({"svm"}), false},
      {"mlp", "frozen encoder, one hidden layer", frozen({"mlp"}), false},
      {"linear-auto", "the same as linear, with the pooling that does best on dev",
       frozen({"linear", "--pooling", "auto"}), false},
      {"linear-tfidf", "the same as linear, with TF-IDF of words and characters joined",
       frozen({"linear", "--features", "tfidf-words", "tfidf-chars"}), false},
      {"head", "pooler and classifier trained", {"--tune", "head"}, true, 20},
      {"bitfit", "head and biases trained", {"--tune", "bitfit"}, true, 20},
      {"lora", "head and low-rank adapters trained", {"--tune", "lora", "--lora-targets", "all"}, true, 7},
      {"top=1", "head and the highest layer trained", {"--tune", "top=1"}, true, 4},
      {"full", "all weights fine-tuned", {}, true},
  };
}

std::vector<TransferWay> pick_ways(const std::vector<std::string>& names) {
  std::vector<TransferWay> all = transfer_ways();
  if (names.empty()) return all;
  std::vector<std::string> known;
  for (const TransferWay& way : all) known.push_back(way.name);
  for (const std::string& name : names)
    CLOZE_CHECK(std::ranges::find(known, name) != known.end(), ErrorCode::kUsage, "unknown way \"{}\"{}; there are {}",
                name, did_you_mean(name, known), fmt::join(known, ", "));
  std::erase_if(all, [&](const TransferWay& way) { return std::ranges::find(names, way.name) == names.end(); });
  return all;
}

namespace {

const WayResult* best_of(const std::vector<WayResult>& results) {
  const WayResult* best = nullptr;
  for (const WayResult& result : results)
    if (!result.failed && (best == nullptr || result.accuracy > best->accuracy)) best = &result;
  return best;
}

double standard_error(const WayResult& result) {
  return std::sqrt(result.accuracy * (1 - result.accuracy) / std::max(1.0, static_cast<double>(result.rows)));
}

std::string megabytes(int64_t bytes) {
  return fmt::format("{:.0f} MB", static_cast<double>(bytes) / 1e6);
}

std::string thousands(int64_t number) {
  if (number < 10'000) return fmt::format("{}", number);
  if (number < 10'000'000) return fmt::format("{:.1f} k", static_cast<double>(number) / 1e3);
  return fmt::format("{:.1f} M", static_cast<double>(number) / 1e6);
}

}  // namespace

const WayResult* recommended(const std::vector<WayResult>& results) {
  const WayResult* best = best_of(results);
  if (best == nullptr) return nullptr;
  const double least = best->accuracy - standard_error(*best);
  const WayResult* pick = best;
  for (const WayResult& result : results)
    if (!result.failed && result.accuracy >= least && result.train_seconds < pick->train_seconds) pick = &result;
  return pick;
}

std::string recommendation(const std::vector<WayResult>& results) {
  const WayResult *pick = recommended(results), *best = best_of(results);
  if (pick == nullptr) return "no way came to its end";
  if (pick == best)
    return fmt::format("pick {}: the best, and none within its standard error is cheaper to train", pick->name());
  const double times = best->train_seconds / std::max(pick->train_seconds, 1e-3);
  if (pick->accuracy == best->accuracy)
    return fmt::format("pick {}: as good as {}, and {:.1f} times faster to train", pick->name(), best->name(), times);
  return fmt::format(
      "pick {}: {:.1f} points below {}, which is within one standard error ({:.1f}), and {:.1f} times faster to train",
      pick->name(), 100 * (best->accuracy - pick->accuracy), best->name(), 100 * standard_error(*best), times);
}

std::string ways_table(const std::vector<WayResult>& results) {
  std::string text = fmt::format("{:<12} {:>8}  {:<15} {:>9} {:>9} {:>8} {:>9}\n", "way", "accuracy", "95 % interval",
                                 "trained", "time", "memory", "rows/s");
  for (const WayResult& r : results) {
    if (r.failed) {
      text += fmt::format("{:<12} failed: {}\n", r.name(), r.note);
      continue;
    }
    text += fmt::format("{:<12} {:>8.4f}  {:.4f}-{:.4f} {:>11} {:>7.1f} s {:>8} {:>9.0f}{}\n", r.name(), r.accuracy,
                        r.interval.low, r.interval.high, thousands(r.trained), r.train_seconds, megabytes(r.peak_bytes),
                        r.rows_per_second, r.note.empty() ? "" : "   " + r.note);
  }
  return text;
}

std::string way_line(const WayResult& r) {
  JsonLine line;
  line.begin_object().member("way", r.name());
  if (r.failed) return line.member("failed", r.note).end_object().text();
  line.member("accuracy", r.accuracy)
      .key("interval")
      .begin_array()
      .value(r.interval.low)
      .value(r.interval.high)
      .end_array();
  line.member("rows", r.rows).member("trained", r.trained).member("train_seconds", r.train_seconds);
  line.member("peak_bytes", r.peak_bytes).member("rows_per_second", r.rows_per_second);
  if (!r.note.empty()) line.member("note", r.note);
  return line.end_object().text();
}

}  // namespace cloze
