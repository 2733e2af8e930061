// One way of transfer, measured: a child process that trains, then evaluation and prediction here.
#pragma once

#include <functional>
#include <string>

#include "cloze/data/example.h"
#include "cloze/transfer/transfer_ways.h"

namespace cloze {

/// What all ways share.
struct WaySettings {
  std::string program;                     ///< the program that has `finetune`
  std::vector<std::string> common;         ///< options of finetune for every way
  std::vector<std::string> frozen_only;    ///< for those that leave the encoder
  std::vector<std::string> training_only;  ///< for those that train it
  Path output;                             ///< each way gets a folder of its name, and NAME.log
};

/// Trains into output/NAME and measures on `rows`, which are labelled; a failed training is told in the result.
/// Errors: kInterrupted where the child was; those of loading and evaluating what it left.
WayResult measure_way(const TransferWay& way, const WaySettings& settings, const std::vector<TextExample>& rows,
                      const std::string& file);

}  // namespace cloze
