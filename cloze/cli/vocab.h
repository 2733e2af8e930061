// The sub-commands of `cloze vocab`, a file each, and what they share.
#pragma once

#include <string>
#include <vector>

#include "cloze/cli/command.h"
#include "cloze/text/word_counter.h"

namespace cloze::cli {

std::function<void()> setup_vocab_train(CLI::App& app);
std::function<void()> setup_vocab_report(CLI::App& app);
std::function<void()> setup_vocab_extend(CLI::App& app);

/// count_words with progress and a summary on stderr. Errors: also kFormat for a corpus without a word.
CorpusCounts count_corpus(const std::vector<std::string>& files, WordCountOptions options);

}  // namespace cloze::cli
