// Whether a model that the command line asks for can be held at all.
#pragma once

#include "cloze/model/bert_config.h"

namespace cloze::cli {

/// Refuses a model whose weights, gradients and AdamW moments (16 bytes a parameter) would not fit into the machine's
/// memory: better at once than after minutes of swapping. Sizes in a model directory are held against its weight file
/// instead. Errors: kUsage.
void check_memory(const BertConfig& config);

}  // namespace cloze::cli
