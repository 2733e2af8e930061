// Options for a model from random weights: --size and its details.
#pragma once

#include "cloze/model/bert_config.h"

namespace cloze::cli {

/// 0 and "": the size's own.
struct ScratchModel {
  std::string size;
  int64_t layers = 0, hidden = 0, heads = 0, intermediate = 0;
  bool given() const { return !size.empty() || layers != 0 || hidden != 0 || heads != 0 || intermediate != 0; }
};

/// Errors: kUsage for sizes that cannot be, and for a model that this machine cannot hold.
BertConfig scratch_config(const ScratchModel& model);

}  // namespace cloze::cli
