// Labels of classification: from the data's names to the model's ids, and how much each class counts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cloze/data/example.h"

namespace cloze {

/// Labels of the rows in order: as numbers if all are integers, else by bytes. Errors: kValue for fewer than two.
std::vector<std::string> collect_labels(std::span<const TextExample> rows, const std::string& file);

/// Ids of the rows' labels, which are matched by name. Errors: kFormat for a row without label; kValue for labels that
/// the model does not know, with the names on both sides.
std::vector<int> label_ids(std::span<const TextExample> rows, const std::vector<std::string>& labels,
                           const std::string& file);

/// Weights of the classes in the loss. `choice` is
///   "" or "none"        no weights (the result is empty);
///   "balanced"          rows / (classes * rows of the class), as in scikit-learn; 1 for a class without rows;
///   "bad=2,good=0.5"    by name, the others 1;
///   {"bad": 2}          the same as a JSON object, for names with commas or equals signs.
/// Errors: kUsage for an unknown name (with the nearest), a weight that is negative or not finite, or only zeros.
std::vector<float> class_weights(const std::string& choice, const std::vector<std::string>& labels,
                                 std::span<const int> ids);

}  // namespace cloze
