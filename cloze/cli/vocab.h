// The sub-commands of `cloze vocab`, a file each.
#pragma once

#include "cloze/cli/command.h"

namespace cloze::cli {

std::function<void()> setup_vocab_train(CLI::App& app);

}  // namespace cloze::cli
