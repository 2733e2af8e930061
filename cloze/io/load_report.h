// What happened to each tensor when a checkpoint was loaded: nothing is dropped or made up silently.
#pragma once

#include <string>
#include <vector>

#include "cloze/base/json.h"

namespace cloze {

struct LoadReport {
  std::vector<std::string> read;         ///< taken from the file (names as they stand in it)
  std::vector<std::string> initialised;  ///< not in the file, made anew; whoever builds the model fills this
  std::vector<std::string> unused;       ///< in the file, but not asked for
  std::vector<std::string> ignored;      ///< likewise, but known to be harmless (is_redundant_bert_name)

  /// One paragraph: "39 tensors read. 2 initialised anew, not in the file: classifier.weight, classifier.bias. ...".
  /// Names that differ in a number only are one ("bert.encoder.layer.*.output.dense.bias (12)").
  std::string text() const;
  /// {"read": [...], "initialised": [...], "unused": [...], "ignored": [...]}
  Json json() const;
};

/// Names as words: numbers between dots become "*", equal patterns are counted, and after `longest` patterns the
/// rest is counted too.
std::string shorten_names(const std::vector<std::string>& names, size_t longest = 8);

}  // namespace cloze
