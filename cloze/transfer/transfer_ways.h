// The ways to use one pretrained encoder for a task, measured side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cloze/metrics/interval.h"

namespace cloze {

/// One way: a name, what it does, and the options of `cloze finetune` that make it.
struct TransferWay {
  std::string name, summary;
  std::vector<std::string> options;
  bool trains_encoder;  ///< its time grows with epochs, and can be bounded
  double rate = 1;      ///< learning rate, as a multiple of that for training everything
};

/// All ways, the cheapest first. Where there are no dev rows, those that choose by them are left out.
std::vector<TransferWay> transfer_ways();
/// Those named, in the order of transfer_ways(); all for an empty list. Errors: kUsage for an unknown name, with the
/// nearest.
std::vector<TransferWay> pick_ways(const std::vector<std::string>& names);

/// What was measured.
struct WayResult {
  TransferWay way;
  bool failed = false;
  std::string note;  ///< why it failed, or that its time was cut
  int64_t rows = 0, right = 0;
  double accuracy = 0;
  Interval interval{0, 0};     ///< Wilson, 95 %
  int64_t trained = 0;         ///< numbers that were fitted or trained
  double train_seconds = 0;    ///< of the whole command: loading, encoding, training
  int64_t peak_bytes = 0;      ///< of that command
  double rows_per_second = 0;  ///< at prediction, the model loaded

  const std::string& name() const { return way.name; }
};

/// The cheapest to train whose accuracy is within one standard error of the best one's ("one standard error rule",
/// Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984); nullptr if all failed.
const WayResult* recommended(const std::vector<WayResult>& results);
/// Why that one, in a sentence.
std::string recommendation(const std::vector<WayResult>& results);

/// An aligned table for people, and a page of its own with the plot of accuracy against training time.
std::string ways_table(const std::vector<WayResult>& results);
std::string ways_page(const std::vector<WayResult>& results, const std::string& title);
/// One JSON object.
std::string way_line(const WayResult& result);

}  // namespace cloze
